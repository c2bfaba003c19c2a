//! Which media type a file name stands for.

use hyper::header::HeaderValue;

/// A `Content-Type`, and whether a compressed sibling may pay.
pub struct MediaType {
    /// The field's value.
    pub value: HeaderValue,
    /// False for what is compressed as it is: no sibling is looked for.
    pub is_compressible: bool,
}

impl MediaType {
    /// The type of a file by the end of its name.
    pub fn of(path: &[u8]) -> Self {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let extension = name.iter().rposition(|&byte| byte == b'.').map(|dot| &name[dot + 1..]);
        let extension = extension.and_then(|extension| std::str::from_utf8(extension).ok()).unwrap_or("");
        if let Some(known) = of_the_web(extension) {
            return Self { value: HeaderValue::from_static(known), is_compressible: is_compressible(known) };
        }
        let guess = mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream");
        let value = if guess.starts_with("text/") {
            HeaderValue::try_from(format!("{guess}; charset=utf-8")).expect("a media type is visible ASCII")
        } else {
            HeaderValue::from_static(guess)
        };
        Self { value, is_compressible: is_compressible(guess) }
    }
}

/// The everyday types without an allocation, and those where mime_guess is behind the registry. XML, SVG and the like
/// name their encoding themselves, so they get no charset, which would overrule it.
fn of_the_web(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "woff" => "font/woff",
        "otf" => "font/otf",
        "ts" => "video/mp2t",
        _ => return None,
    })
}

fn is_compressible(media_type: &str) -> bool {
    match media_type.split_once('/') {
        Some(("image", kind)) => matches!(kind, "svg+xml" | "bmp" | "x-icon"),
        Some(("audio" | "video", _)) => false,
        Some(("font", kind)) => !kind.starts_with("woff"),
        Some(("application", kind)) => !matches!(
            kind,
            "gzip"
                | "zip"
                | "zstd"
                | "x-bzip2"
                | "x-xz"
                | "x-7z-compressed"
                | "x-rar-compressed"
                | "java-archive"
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_registered_types() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.min.mjs", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.JSON", "application/json"),
            ("a.js.map", "application/json"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.xml", "application/xml"),
            ("a.atom", "application/atom+xml"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.avif", "image/avif"),
            ("a.webp", "image/webp"),
            ("favicon.ico", "image/x-icon"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.woff", "font/woff"),
            ("a.ttf", "font/ttf"),
            ("a.mp4", "video/mp4"),
            ("a.pdf", "application/pdf"),
            ("a.tar.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("a.b/README", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(MediaType::of(name.as_bytes()).value, expected, "{name}");
        }
    }

    #[test]
    fn what_is_compressed_already_is_not_compressible() {
        for (name, expected) in [
            ("a.html", true),
            ("a.svg", true),
            ("a.wasm", true),
            ("a", true),
            ("a.ttf", true),
            ("a.png", false),
        ] {
            assert_eq!(MediaType::of(name.as_bytes()).is_compressible, expected, "{name}");
        }
        for name in ["a.woff2", "a.mp4", "a.gz", "a.zip", "a.webp", "a.avif", "a.mp3"] {
            assert!(!MediaType::of(name.as_bytes()).is_compressible, "{name}");
        }
    }
}
