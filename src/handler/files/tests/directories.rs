//! Directories: index, slash, listing.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use hyper::header::{ACCEPT, CONTENT_TYPE, LOCATION, VARY};

use super::*;

#[tokio::test]
async fn directories_have_an_index_and_a_slash() {
    let site = Site::new();
    site.scratch.write("index.html", b"root");
    site.scratch.write("sub/index.html", b"sub");
    fs::create_dir_all(site.scratch.path().join("odd/index.html")).unwrap();
    assert_eq!(site.get("/").await.body, b"root");
    assert_eq!(site.get("/sub/").await.body, b"sub");
    let reply = site.get("/sub?a=b").await;
    assert_eq!((reply.status, reply.text(LOCATION)), (308, Some("/sub/?a=b")));
    assert_eq!(site.status("/odd").await, 404);
    assert_eq!(site.status("/odd/").await, 404);
}

#[tokio::test]
async fn listings_show_what_may_be_asked_for() {
    let site = Site::with(|options| options.is_listing = true);
    site.scratch.write("sub/b.txt", b"hello");
    site.scratch.write("sub/<script>&\"'.txt", b"");
    site.scratch.write("sub/.hidden", b"");
    site.scratch.write("sub/zoo/a", b"");
    site.scratch.write("sub/a:b?#%", b"");
    symlink("/etc/passwd", site.scratch.path().join("sub/out")).unwrap();
    symlink("zoo", site.scratch.path().join("sub/inside")).unwrap();
    assert_eq!(site.get("/sub").await.text(LOCATION), Some("/sub/"));

    let reply = site.get("/sub/").await;
    assert_eq!((reply.status, reply.text(CONTENT_TYPE)), (200, Some("text/html; charset=utf-8")));
    let page = String::from_utf8(reply.body).unwrap();
    assert!(page.contains("<a href=\"./b.txt\">b.txt</a><td>5 B<td>"), "{page}");
    assert!(page.contains("<a href=\"../\">") && page.contains("<h1>/sub/</h1>"), "{page}");
    assert!(!page.contains("<script") && !page.contains("hidden") && !page.contains(">out<"), "{page}");
    assert!(!site.get("/").await.body.windows(3).any(|bytes| bytes == b"../"));

    let reply = site.ask("GET", "/sub/", &[(ACCEPT, "application/json")]).await;
    assert_eq!((reply.text(CONTENT_TYPE), reply.text(VARY)), (Some("application/json"), Some("Accept")));
    let page: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let entries = page["entries"].as_array().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["inside", "zoo", "<script>&\"'.txt", "a:b?#%", "b.txt"]);
    assert_eq!((&page["cut"], &entries[4]["size"]), (&false.into(), &5.into()));
    for entry in entries {
        let href = entry["href"].as_str().unwrap().strip_prefix('.').unwrap();
        assert_eq!(site.status(&format!("/sub{href}")).await, 200, "{href}");
    }
    assert_eq!(site.status("/sub/none/").await, 404);
    assert_eq!(site.status("/sub/b.txt/").await, 404);
}

#[tokio::test]
async fn long_listings_are_cut() {
    let site = Site::with(|options| options.is_listing = true);
    for at in 0..10_001 {
        File::create(site.scratch.path().join(format!("f{at}"))).unwrap();
    }
    let page = site.ask("GET", "/", &[(ACCEPT, "application/json")]).await.body;
    let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["cut"]), (10_000, &true.into()));
    let page = String::from_utf8(site.get("/").await.body).unwrap();
    assert!(page.contains("more than the 10000 entries shown"));
}
