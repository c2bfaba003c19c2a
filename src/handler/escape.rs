//! Writing text that others chose into a page.

use std::fmt;

/// Text as HTML: shown as it is, in an element or a quoted attribute, never taken for markup.
///
/// ```
/// assert_eq!(dormouse::handler::escape::Html("<b>&").to_string(), "&lt;b&gt;&amp;");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Html<'t>(pub &'t str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'&' => "&amp;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Html;

    proptest! {
        #[test]
        fn no_markup_comes_through(text in "\\PC*") {
            let html = Html(&text).to_string();
            prop_assert!(!html.contains(['<', '>', '"', '\'']));
            let back = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(back.replace("&amp;", "&"), text);
        }
    }
}
