//! Which file a path leads to, and which paths lead nowhere.

use std::fs;
use std::os::unix::fs::symlink;

use hyper::header::{ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_TYPE};

use super::*;

#[tokio::test]
async fn files_are_found_by_their_names() {
    let site = Site::new();
    for name in
        ["a.txt", "sub/b.txt", "with space", "100%", "é/ü.html", "a+b&c=d;e", ".well-known/x", "back\\slash"]
    {
        site.scratch.write(name, name.as_bytes());
    }
    for (path, name) in [
        ("/a.txt", "a.txt"),
        ("/%61.txt?query", "a.txt"),
        ("/sub/b.txt", "sub/b.txt"),
        ("/with%20space", "with space"),
        ("/100%25", "100%"),
        ("/%C3%A9/%c3%bc.html", "é/ü.html"),
        ("/a+b&c=d;e", "a+b&c=d;e"),
        ("/.well-known/x", ".well-known/x"),
        ("/back%5Cslash", "back\\slash"),
    ] {
        let reply = site.get(path).await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, name.as_bytes()), "{path}");
    }
    let reply = site.get("/a.txt").await;
    assert_eq!(reply.text(CONTENT_TYPE), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.text(ACCEPT_RANGES), Some("bytes"));
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn what_is_in_memory_is_answered_at_once() {
    let site = Site::new();
    site.scratch.write("index.html", b"hello");
    site.get("/").await;
    let head = Request::builder().body(()).unwrap().into_parts().0;
    assert!(matches!(site.files.answer_head(head, ""), Answer::Ready(_)));
}

#[tokio::test]
async fn nothing_else_is_found() {
    let site = Site::new();
    site.scratch.write("a.txt", b"a");
    site.scratch.write("sub/b.txt", b"b");
    site.scratch.write(".secret", b"no");
    site.scratch.write("sub/.git/config", b"no");
    rustix::fs::mkfifoat(rustix::fs::CWD, site.scratch.path().join("fifo"), 0o644.into()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.scratch.path().join("socket")).unwrap();
    let huge = format!("/{}", "n".repeat(300));
    let deep = format!("/{}", "d/".repeat(3000));
    for path in [
        "/none",
        "/a.txt/",
        "/a.txt/b",
        "//a.txt",
        "/sub//b.txt",
        "/sub/../a.txt",
        "/./a.txt",
        "/%2e%2e/a.txt",
        "/sub/%2e%2e/a.txt",
        "/sub%2Fb.txt",
        "/a.txt%00",
        "/%",
        "/.secret",
        "/%2esecret",
        "/sub/.git/config",
        "/sub",
        "/sub/",
        "/",
        "/fifo",
        "/socket",
        &huge,
        &deep,
    ] {
        assert_eq!(site.status(path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn symlinks_work_inside_and_never_lead_out() {
    let (site, outside) = (Site::new(), Scratch::new());
    outside.write("secret", b"no");
    site.scratch.write("sub/b.txt", b"b");
    let link = |target: &str, name: &str| symlink(target, site.scratch.path().join(name)).unwrap();
    link("sub/b.txt", "file");
    link("sub", "directory");
    link("../sub/../directory/b.txt", "sub/roundabout");
    for path in ["/file", "/directory/b.txt", "/sub/roundabout"] {
        assert_eq!(site.get(path).await.body, b"b", "{path}");
    }
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    link(outside.path().to_str().unwrap(), "absolute");
    link(&format!("../{name}"), "relative");
    link(&format!("../{name}/secret"), "secret");
    link("circle", "circle");
    link("nowhere", "dangling");
    link("/proc/self/root", "magic");
    for path in
        ["/absolute/secret", "/relative/secret", "/secret", "/circle", "/dangling", "/magic/etc/passwd"]
    {
        assert_eq!(site.status(path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn the_root_may_be_swapped_and_may_be_a_symlink() {
    let (releases, mut root) = (Scratch::new(), Default::default());
    releases.write("one/a", b"1");
    releases.write("two/a", b"2");
    symlink("one", releases.path().join("current")).unwrap();
    let site = Site::with(|options| {
        options.root = releases.path().join("current");
        root = options.root.clone();
    });
    assert_eq!(site.get("/a").await.body, b"1");
    symlink("two", releases.path().join("next")).unwrap();
    fs::rename(releases.path().join("next"), &root).unwrap();
    assert_eq!(site.get("/a").await.body, b"2");
    fs::remove_file(&root).unwrap();
    assert_eq!(site.status("/a").await, 500);
    fs::rename(releases.path().join("one"), &root).unwrap();
    assert_eq!(site.get("/a").await.body, b"1");
}

#[tokio::test]
async fn the_root_may_be_a_file() {
    let shop = Scratch::new();
    shop.write("closed.html", b"closed");
    shop.write("closed.html.gz", b"gz");
    let site = Site::with(|options| options.root = shop.path().join("closed.html"));
    let reply = site.get("/").await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"closed"[..]));
    assert_eq!(reply.text(CONTENT_TYPE), Some("text/html; charset=utf-8"));
    assert_eq!(site.ask("GET", "/", &[(ACCEPT_ENCODING, "gzip")]).await.body, b"gz");
    assert_eq!(site.status("/a").await, 404);
}

/// Also as root, who may read everything: the thread gives that up.
#[test]
#[allow(unsafe_code)]
fn what_may_not_be_read_is_forbidden() {
    let site = Site::new();
    site.scratch.write("a", b"a");
    site.scratch.write("sub/b", b"b");
    let lock = |name, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(site.scratch.path().join(name), permissions).unwrap();
    };
    lock("a", 0);
    lock("sub", 0o700);
    let options = Options::clone(&site.files.0);
    let [file, below] = std::thread::spawn(move || {
        // SAFETY: it takes a number and touches no memory. It goes for this thread only, which ends here.
        unsafe { libc::setfsuid(65_534) };
        ["a", "sub/b"].map(|path| {
            let head = Request::builder().uri(format!("/{path}")).body(()).unwrap().into_parts().0;
            options.respond_waiting(&head, path).status().as_u16()
        })
    })
    .join()
    .unwrap();
    assert_eq!(file, 403);
    // A directory of our own can be entered by its owner.
    assert_eq!(below, if rustix::process::geteuid().is_root() { 403 } else { 200 });
}
