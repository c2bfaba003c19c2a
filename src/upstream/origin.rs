//! Where an upstream is: `http://127.0.0.1:3000`, `https://example.org`, `h2c://10.0.0.7:50051`, `unix:/run/app.sock`.

use std::fmt;
use std::path::PathBuf;

use hyper::Uri;
use hyper::header::HeaderValue;
use thiserror::Error;

/// Where an upstream is, and what it speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What it speaks.
    pub scheme: Scheme,
    /// Where.
    pub place: Place,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3), as gRPC servers do.
    H2c,
}

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host, which is a name or an address without brackets, and a port.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why something is no upstream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    /// `127.0.0.1:3000`
    #[error("{0:?} does not say what the upstream speaks")]
    NoScheme(String),
    /// `ftp://`
    #[error("{0:?} is nothing an upstream speaks; there are http, https, h2c and unix")]
    UnknownScheme(String),
    /// `unix:app.sock`
    #[error("after unix: stands the absolute path of a socket")]
    RelativePath,
    /// `http://a b`
    #[error("{0:?} is no address")]
    NoAddress(String),
    /// `http://host/path`
    #[error("an upstream is a host and a port; {0:?} is left to say")]
    Path(String),
    /// This build has no TLS.
    #[error("this build of dormouse has no TLS (cargo feature `tls`)")]
    NoTls,
}

impl OriginError {
    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::Path(_) => {
                "`strip_prefix` and `add_prefix` change the path that is sent, not the address".to_owned()
            }
            Self::NoScheme(text) if !text.is_empty() => format!("write \"http://{text}\""),
            _ => r#"for example: "http://127.0.0.1:3000" or "unix:/run/app.sock""#.to_owned(),
        }
    }
}

impl Origin {
    /// Reads an upstream without a path.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (origin, rest) = Self::parse_with_path(text)?;
        match rest {
            "" | "/" => Ok(origin),
            path => Err(OriginError::Path(path.to_owned())),
        }
    }

    /// Reads the upstream at the beginning of an address; what follows it is its path and query.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse_with_path(text: &str) -> Result<(Self, &str), OriginError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && !path.contains('\0');
            let place = Place::Unix(is_path.then(|| path.into()).ok_or(OriginError::RelativePath)?);
            return Ok((Self { scheme: Scheme::Http, place }, ""));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| OriginError::NoScheme(text.to_owned()))?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" if cfg!(feature = "tls") => Scheme::Https,
            "https" => return Err(OriginError::NoTls),
            "h2c" => Scheme::H2c,
            other => return Err(OriginError::UnknownScheme(other.to_owned())),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let no_address = || OriginError::NoAddress(authority.to_owned());
        let parsed: hyper::http::uri::Authority = authority.parse().map_err(|_| no_address())?;
        let host = parsed.host();
        if host.is_empty() || authority.contains('@') {
            return Err(no_address());
        }
        let after_host = authority.get(host.len()..).unwrap_or_default();
        let port = match after_host.strip_prefix(':') {
            None => scheme.default_port(),
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(no_address)?,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok((Self { scheme, place: Place::Tcp { host, port } }, rest))
    }

    /// What `Host` says of it; of a Unix socket, `localhost`.
    pub fn host_header(&self) -> HeaderValue {
        let text = match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port } if *port == self.scheme.default_port() => bracketed(host),
            Place::Tcp { host, port } => format!("{}:{port}", bracketed(host)),
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("localhost"))
    }

    /// An address of it for a request over HTTP/2, which names scheme and host (RFC 9113 section 8.3.1).
    pub fn absolute(
        &self,
        host: &HeaderValue,
        path_and_query: hyper::http::uri::PathAndQuery,
    ) -> Option<Uri> {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(path_and_query).build().ok()
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http | Self::H2c => 80,
            Self::Https => 443,
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.scheme, &self.place) {
            (_, Place::Unix(path)) => return write!(f, "unix:{}", path.display()),
            (Scheme::Http, _) => "http",
            (Scheme::Https, _) => "https",
            (Scheme::H2c, _) => "h2c",
        };
        let Place::Tcp { host, port } = &self.place else { return Ok(()) };
        write!(f, "{scheme}://{}:{port}", bracketed(host))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(address: &str) -> Result<String, OriginError> {
        Origin::parse(address).map(|origin| origin.to_string())
    }

    #[test]
    fn the_forms_of_the_manual() {
        assert_eq!(text("http://127.0.0.1:3000").as_deref(), Ok("http://127.0.0.1:3000"));
        assert_eq!(text("http://app/").as_deref(), Ok("http://app:80"));
        assert_eq!(text("h2c://[::1]:50051").as_deref(), Ok("h2c://[::1]:50051"));
        assert_eq!(text("unix:/run/app.sock").as_deref(), Ok("unix:/run/app.sock"));
        let (origin, rest) = Origin::parse_with_path("http://h:1/a//b?c=http://d/").expect("an address");
        assert_eq!((origin.to_string().as_str(), rest), ("http://h:1", "/a//b?c=http://d/"));
        let (_, rest) = Origin::parse_with_path("http://h?q").expect("an address");
        assert_eq!(rest, "?q");
    }

    #[test]
    fn what_is_no_upstream_says_why() {
        assert_eq!(text("127.0.0.1:3000"), Err(OriginError::NoScheme("127.0.0.1:3000".into())));
        assert_eq!(text("ftp://h"), Err(OriginError::UnknownScheme("ftp".into())));
        assert_eq!(text("unix:app.sock"), Err(OriginError::RelativePath));
        assert_eq!(text("http://h/path"), Err(OriginError::Path("/path".into())));
        for address in ["http://", "http://:80", "http://h:0", "http://h:99999", "http://a b", "http://u@h"] {
            assert!(matches!(text(address), Err(OriginError::NoAddress(_))), "{address}");
        }
    }

    #[test]
    fn hosts_as_headers_say_them() {
        let host = |address| Origin::parse(address).expect(address).host_header();
        assert_eq!(host("http://app:80"), "app");
        assert_eq!(host("http://[::1]:3000"), "[::1]:3000");
        assert_eq!(host("unix:/run/app.sock"), "localhost");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(address in "(http|h2c)://([a-z]{1,9}|127\\.0\\.0\\.1|\\[::1\\])(:[1-9][0-9]{0,3})?") {
            let origin = Origin::parse(&address).expect("an address");
            prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|(http|unix|h2c):(//)?[\\[\\]a-z0-9:/@?. -]*") {
            let _ = Origin::parse_with_path(&text);
        }
    }
}
