//! What CGI/1.1 tells a program of a request (RFC 3875 section 4.1). Pure.
//!
//! Where the RFC leaves a choice:
//! - `SERVER_NAME` and `SERVER_PORT` are what the client asked for, as `Host` or the address says it, since that is what a
//!   program makes its own addresses of; without a port there, the scheme's;
//! - `REMOTE_ADDR` is empty for a Unix peer for whom nobody has named an address: to the RFC that is the same as absent, and
//!   whoever reads an address there chokes on any word;
//! - `SCRIPT_NAME` and `PATH_INFO` are decoded, `REQUEST_URI` has them as sent. Other servers resolve `..` before a program
//!   sees it, and dormouse cleans no path, so one in `PATH_INFO` is refused;
//! - of the headers, those are left out that could be taken for something else (`Proxy` would be HTTP_PROXY, CVE-2016-5385;
//!   `X_Y` would be the same as `X-Y`), that are about one connection, or that are a secret (`Authorization`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, TRAILER};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Uri, Version};
use percent_encoding::percent_decode_str;

use super::Unfit;
use crate::guard::{Client, Remote};
use crate::handler::Head;
use crate::handler::proxy::hop;
use crate::route::request_host;

/// How long all variables may be together, in bytes. A head that gets here is shorter (`server/framing/head.rs`), but the
/// path is in it three times.
const LONGEST: usize = 128 << 10;

/// Headers that no program sees.
const SECRETS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("proxy-authorization"), HeaderName::from_static("proxy")];

/// What is told of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Its head.
    pub head: Head<'r>,
    /// The protocol it came by.
    pub version: Version,
    /// Who is at the other end.
    pub client: Client<'r>,
    /// Who asks in the end.
    pub remote: Remote,
    /// The part of the path that is the program, as sent; see [`split`].
    pub script_name: &'r str,
    /// The part of the path that is the program's to read, as sent.
    pub path_info: &'r str,
    /// How many bytes stdin has; `None` if there is no body, or it is not known.
    pub length: Option<u64>,
}

/// Names and values.
pub type Variables = Vec<(OsString, OsString)>;

/// Where the program's name ends in a path and what it is to read begins. `rest` is what follows the route's path; only one
/// that takes everything below it has a `PATH_INFO`, which begins with a slash.
pub fn split<'p>(path: &'p str, rest: &str, is_subtree: bool) -> (&'p str, &'p str) {
    let route = path.strip_suffix(rest).filter(|_| is_subtree).and_then(|route| route.strip_suffix('/'));
    let script = route.unwrap_or(path);
    (script, &path[script.len()..])
}

/// All variables of a request.
///
/// # Errors
/// When something in it cannot be a variable.
pub fn variables(request: &Request<'_>) -> Result<Variables, Unfit> {
    let Head { method, uri, .. } = request.head;
    let mut headers = request.head.headers.clone();
    request.client.clean(&mut headers);
    let scheme = request.client.scheme(&headers);
    let is_secure = scheme.as_bytes().eq_ignore_ascii_case(b"https");
    let info = decoded(request.path_info)?;
    if info.split(|byte| *byte == b'/').any(|segment| segment == b"..") {
        return Err(Unfit::Climbs);
    }
    let mut all = Variables::new();
    let mut add = |name: &str, value: Vec<u8>| all.push((name.into(), OsString::from_vec(value)));
    add("GATEWAY_INTERFACE", "CGI/1.1".into());
    add("SERVER_SOFTWARE", concat!("dormouse/", env!("CARGO_PKG_VERSION")).into());
    add("SERVER_NAME", server_name(uri, &headers).into());
    add("SERVER_PORT", server_port(uri, &headers, is_secure).to_string().into());
    add("SERVER_PROTOCOL", protocol(request.version).into());
    add("REQUEST_METHOD", method.as_str().into());
    add("REQUEST_URI", uri.path_and_query().map_or(uri.path(), |target| target.as_str()).into());
    add("QUERY_STRING", uri.query().unwrap_or_default().into());
    add("SCRIPT_NAME", decoded(request.script_name)?);
    add("PATH_INFO", info);
    add("REMOTE_ADDR", request.remote.address.map(|address| address.to_string()).unwrap_or_default().into());
    if let Some(port) = request.remote.port {
        add("REMOTE_PORT", port.to_string().into());
    }
    if is_secure {
        add("HTTPS", "on".into());
    }
    if let Some(media_type) = headers.get(CONTENT_TYPE) {
        add("CONTENT_TYPE", media_type.as_bytes().into());
    }
    if let Some(length) = request.length {
        add("CONTENT_LENGTH", length.to_string().into());
    }
    hop::strip(&mut headers);
    add_headers(&mut all, &headers);
    let len: usize = all.iter().map(|(name, value)| name.len() + value.len() + "=\0".len()).sum();
    if len > LONGEST { Err(Unfit::HeadTooLong) } else { Ok(all) }
}

fn add_headers(all: &mut Variables, headers: &HeaderMap) {
    for name in headers.keys().filter(|name| is_told(name)) {
        let variable: String = format!("HTTP_{name}")
            .chars()
            .map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() })
            .collect();
        // What HTTP/2 sends in pieces is one line (RFC 9113 section 8.2.3).
        let between = if name == COOKIE { &b"; "[..] } else { b", " };
        let values: Vec<_> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        all.push((variable.into(), OsString::from_vec(values.join(between))));
    }
}

fn is_told(name: &HeaderName) -> bool {
    let has_variable = name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    has_variable && !SECRETS.contains(name) && ![CONTENT_TYPE, CONTENT_LENGTH, TRAILER].contains(name)
}

fn decoded(path: &str) -> Result<Vec<u8>, Unfit> {
    let path: Vec<u8> = percent_decode_str(path).collect();
    if path.contains(&0) { Err(Unfit::NulInPath) } else { Ok(path) }
}

/// A name that can be one: programs put it into addresses and into pages.
fn server_name<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> &'r str {
    let is_name =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    request_host(uri, headers).filter(is_name).unwrap_or("localhost")
}

fn server_port(uri: &Uri, headers: &HeaderMap, is_secure: bool) -> u16 {
    let said = match uri.authority() {
        Some(authority) => authority.port_u16(),
        None => headers
            .get(HOST)
            .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
            .and_then(|authority| authority.port_u16()),
    };
    said.unwrap_or(if is_secure { 443 } else { 80 })
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
