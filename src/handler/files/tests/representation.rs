//! What is sent of a file: codings, conditions, ranges.

use std::fs::File;
use std::time::{Duration, SystemTime};

use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, VARY,
};

use super::*;

/// Makes a file an hour old.
fn age(site: &Site, name: &str) {
    let file = File::options().append(true).open(site.scratch.path().join(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
}

#[tokio::test]
async fn siblings_answer_for_those_who_take_them() {
    let site = Site::new();
    for (name, content) in [
        ("a.js", "plain"),
        ("a.js.br", "br"),
        ("a.js.gz", "gz"),
        ("a.png", "plain"),
        ("a.png.gz", "gz"),
        ("b.css", "plain"),
    ] {
        site.scratch.write(name, content.as_bytes());
    }
    let ask = async |path, accepted| {
        let reply = site.ask("GET", path, &[(ACCEPT_ENCODING, accepted)]).await;
        (String::from_utf8(reply.body.clone()).unwrap(), reply)
    };
    for (accepted, content, coding) in [
        ("gzip, deflate, br, zstd", "br", Some("br")),
        ("gzip", "gz", Some("gzip")),
        ("zstd, gzip;q=0.1", "gz", Some("gzip")),
        ("br;q=0, gzip;q=0", "plain", None),
        ("zstd", "plain", None),
        ("", "plain", None),
    ] {
        let (body, reply) = ask("/a.js", accepted).await;
        assert_eq!((body.as_str(), reply.text(CONTENT_ENCODING)), (content, coding), "{accepted}");
        assert_eq!(reply.text(CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
        assert_eq!(reply.text(VARY), Some("Accept-Encoding"));
    }
    let (body, reply) = ask("/b.css", "gzip").await;
    assert_eq!((body.as_str(), reply.text(VARY)), ("plain", Some("Accept-Encoding")));
    let (body, reply) = ask("/a.png", "gzip").await;
    assert_eq!((body.as_str(), reply.text(VARY)), ("plain", None));

    age(&site, "a.js.br");
    assert_eq!(ask("/a.js", "br, gzip").await.0, "gz");
    let (plain, coded) = (site.get("/a.js").await, ask("/a.js", "gzip").await.1);
    assert_ne!(plain.headers[ETAG], coded.headers[ETAG]);
}

#[tokio::test]
async fn conditions_and_ranges_together() {
    let site = Site::new();
    site.scratch.write("a.txt", b"0123456789");
    age(&site, "a.txt");
    let whole = site.get("/a.txt").await;
    let (etag, date) = (whole.text(ETAG).unwrap(), whole.text(LAST_MODIFIED).unwrap());
    for (headers, status, body) in [
        (&[(IF_NONE_MATCH, etag)][..], 304, ""),
        (&[(IF_MODIFIED_SINCE, date)], 304, ""),
        (&[(IF_MATCH, "\"other\"")], 412, ""),
        (&[(IF_MATCH, etag)], 200, "0123456789"),
        (&[(RANGE, "bytes=2-4")], 206, "234"),
        (&[(RANGE, "bytes=-3"), (IF_RANGE, etag)], 206, "789"),
        (&[(RANGE, "bytes=-3"), (IF_RANGE, date)], 206, "789"),
        (&[(RANGE, "bytes=-3"), (IF_RANGE, "\"other\"")], 200, "0123456789"),
        (&[(RANGE, "bytes=10-")], 416, ""),
        (&[(RANGE, "bytes=10-"), (IF_NONE_MATCH, etag)], 304, ""),
        (&[(RANGE, "lines=1")], 200, "0123456789"),
    ] {
        let reply = site.ask("GET", "/a.txt", headers).await;
        assert_eq!((reply.status, std::str::from_utf8(&reply.body).unwrap()), (status, body), "{headers:?}");
        if status == 304 {
            assert_eq!((reply.text(ETAG), reply.text(LAST_MODIFIED)), (Some(etag), Some(date)));
            assert_eq!((reply.text(CONTENT_LENGTH), reply.text(CONTENT_TYPE)), (None, None));
        }
    }
    let range = async |range| site.ask("GET", "/a.txt", &[(RANGE, range)]).await;
    assert_eq!(range("bytes=2-4").await.text(CONTENT_RANGE), Some("bytes 2-4/10"));
    assert_eq!(range("bytes=10-").await.text(CONTENT_RANGE), Some("bytes */10"));
}

#[tokio::test]
async fn several_ranges_come_in_parts() {
    let site = Site::new();
    site.scratch.write("a.txt", &[b'x'; 5000]);
    let reply = site.ask("GET", "/a.txt", &[(RANGE, "bytes=0-1,4998-")]).await;
    assert_eq!(reply.status, 206);
    let boundary = reply.text(CONTENT_TYPE).unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = String::from_utf8(reply.body.clone()).unwrap();
    let parts: Vec<_> = body.split(&format!("\r\n--{boundary}")).collect();
    let head = "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes";
    assert_eq!(
        parts,
        ["", &format!("{head} 0-1/5000\r\n\r\nxx"), &format!("{head} 4998-4999/5000\r\n\r\nxx"), "--\r\n"]
    );
}

#[tokio::test]
async fn head_says_what_get_would_and_other_methods_are_refused() {
    let site = Site::new();
    site.scratch.write("a.txt", b"0123456789");
    let reply = site.ask("HEAD", "/a.txt", &[(RANGE, "bytes=0-1")]).await;
    assert_eq!((reply.status, reply.text(CONTENT_LENGTH), reply.body.len()), (200, Some("10"), 0));
    let reply = site.ask("POST", "/a.txt", &[]).await;
    assert_eq!((reply.status, reply.text(ALLOW)), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_status_of_its_own_knows_no_conditions() {
    let site = Site::with(|options| options.status = StatusCode::SERVICE_UNAVAILABLE);
    site.scratch.write("index.html", b"back soon");
    let reply = site.ask("GET", "/", &[(IF_NONE_MATCH, "*"), (RANGE, "bytes=0-1")]).await;
    assert_eq!((reply.status, reply.body.as_slice()), (503, &b"back soon"[..]));
}

#[tokio::test]
async fn every_size_arrives_whole() {
    let site = Site::new();
    for size in [0, 1, 65_535, 65_536, 65_537, 1_000_000] {
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 249).unwrap()).collect();
        site.scratch.write("a.bin", &content);
        let reply = site.get("/a.bin").await;
        assert_eq!(reply.text(CONTENT_LENGTH), Some(size.to_string().as_str()));
        assert!(reply.body == content);
    }
}
