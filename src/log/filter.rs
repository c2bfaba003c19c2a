//! Which events are logged.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The environment variable that holds the filter.
const VARIABLE: &str = "DORMOUSE_LOG";

/// The filter of `DORMOUSE_LOG`, and what to say when it cannot be understood.
pub fn from_environment() -> (Targets, Option<String>) {
    match std::env::var(VARIABLE) {
        Ok(text) => parse(&text),
        Err(_) => (default(), None),
    }
}

fn parse(text: &str) -> (Targets, Option<String>) {
    match text.trim() {
        "" => (default(), None),
        text => match text.parse() {
            Ok(filter) => (filter, None),
            Err(error) => {
                let complaint = format!(
                    "{VARIABLE}={text:?} is not understood ({error}), logging \"info\"; \
                     say a level (error, warn, info, debug, trace), or target=level pairs and commas"
                );
                (default(), Some(complaint))
            }
        },
    }
}

fn default() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn info_is_logged_by_default() {
        let (filter, complaint) = parse(" ");
        assert!(filter.would_enable("dormouse", &Level::INFO));
        assert!(!filter.would_enable("dormouse", &Level::DEBUG));
        assert_eq!(complaint, None);
    }

    #[test]
    fn levels_can_be_given_by_module() {
        let (filter, complaint) = parse("dormouse::access=debug,warn");
        assert!(filter.would_enable("dormouse::access", &Level::DEBUG));
        assert!(!filter.would_enable("dormouse::server", &Level::INFO));
        assert_eq!(complaint, None);
    }

    #[test]
    fn nonsense_is_said_and_changes_nothing() {
        let (filter, complaint) = parse("dormouse=loud");
        assert!(filter.would_enable("dormouse", &Level::INFO));
        assert!(!filter.would_enable("dormouse", &Level::DEBUG));
        assert!(complaint.is_some_and(|text| text.contains("DORMOUSE_LOG=\"dormouse=loud\"")));
    }
}
