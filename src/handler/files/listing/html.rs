//! A listing for people: one page, nothing to load, no script.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

use super::entries::{Entries, Entry};
use super::stamp::Stamp;
use crate::handler::escape::Html;

const STYLE: &str = ":root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;\
    max-width:60rem;padding:0 1rem}h1{font-size:1.4rem;overflow-wrap:anywhere}table{border-collapse:collapse;\
    width:100%}th{text-align:left}td,th{padding:.15rem .5rem;border-bottom:1px solid #8884}\
    td:first-child{overflow-wrap:anywhere}td+td,th+th{text-align:right;white-space:nowrap;\
    font-variant-numeric:tabular-nums}a{text-decoration:none}a:hover{text-decoration:underline}";

/// The page of a directory; only the root has none above it.
pub fn page(entries: &Entries, path: &str, is_root: bool) -> String {
    let title = percent_decode_str(path).decode_utf8_lossy();
    let title = Html(&title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n<table>\n<tr><th>Name<th>Size<th>Modified\n"
    );
    if !is_root {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in &entries.list {
        push_row(&mut page, entry);
    }
    page.push_str("</table>\n");
    if entries.is_cut {
        let shown = entries.list.len();
        let _ = writeln!(page, "<p>This directory holds more than the {shown} entries shown.</p>");
    }
    page.push_str("</html>\n");
    page
}

fn push_row(page: &mut String, entry: &Entry) {
    let slash = if entry.is_directory() { "/" } else { "" };
    let (link, name, time) = (entry.link(), entry.name(), Stamp(entry.modified_secs).to_string());
    let shown_time = time[..time.len() - 4].replace('T', " "); // to the minute
    let size = entry.size.map(readable).unwrap_or_default();
    let _ = writeln!(
        page,
        "<tr><td><a href=\"{link}\">{}{slash}</a><td>{size}<td><time datetime=\"{time}\">{shown_time}</time>",
        Html(&name)
    );
}

/// `512 B`, `1.5 KiB`, `12 MiB`
fn readable(bytes: u64) -> String {
    let mut unit = "B";
    // In tenths of the unit, rounded down.
    let mut tenths = u128::from(bytes) * 10;
    for bigger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, bigger);
    }
    match (tenths / 10, tenths % 10) {
        (whole @ 0..10, tenth) if unit != "B" => format!("{whole}.{tenth} {unit}"),
        (whole, _) => format!("{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in [
            (0, "0 B"),
            (5, "5 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_240, "10 KiB"),
            (1_048_575, "1023 KiB"),
            (1_048_576, "1.0 MiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(readable(bytes), expected);
        }
    }
}
