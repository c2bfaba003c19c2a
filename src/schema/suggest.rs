//! Did you mean?

/// No key is longer, and nearness takes time with the square of the length.
const LONGEST: usize = 64;

/// The candidate nearest to what was written, if any is near enough to be what was meant.
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    let length = written.chars().count();
    let allowed = (length / 3).max(1).min(length.saturating_sub(1));
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let keys = ["after", "min_awake", "grace", "drain"];
        assert_eq!(nearest("aftr", keys), Some("after"));
        assert_eq!(nearest("Grace", keys), Some("grace"));
        assert_eq!(nearest("min-awake", keys), Some("min_awake"));
        assert_eq!(nearest("proxy", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("y", ["x"]), None);
    }
}
