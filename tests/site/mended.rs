//! A bad config never takes the port down, and a mended one is taken up at the next request.

use dormouse::config::Source;
use dormouse::site::Live;

use crate::harness::{Folder, Served};

#[test]
fn a_mended_file_is_taken_up_at_the_next_request() {
    let folder = Folder::new();
    let file = folder.write("site.toml", "[[route]]\npath = '/'\n");
    let source = Source::new(Some(&file));
    let (loaded, diagnostics) = source.load().into_parts();
    assert!(diagnostics.expect("it is bad").summary().contains("no verb"));
    let live = Live::new(loaded.site, move || {
        let (loaded, diagnostics) = source.look()?.into_parts();
        diagnostics.is_none().then_some(loaded.site)
    });
    let site = Served::live(folder, live);
    let answer = site.ask("GET /any/thing");
    assert_eq!((answer.status(), answer.header("retry-after")), (503, "5"));
    assert_eq!(answer.body, "503 service unavailable\n");

    site.folder.write("site.toml", "still rubbish");
    assert_eq!(site.ask("GET /").status(), 503);
    site.folder.write("site.toml", "[[route]]\npath = '/'\ntext = 'mended'\n");
    assert_eq!(site.ask("GET /").body, "mended");
    // From now on only a reload changes it.
    site.folder.write("site.toml", "rubbish");
    assert_eq!(site.ask("GET /").body, "mended");
}

#[test]
fn a_swapped_site_answers_the_next_request() {
    let folder = Folder::new();
    let read = |text: &str| {
        let file = folder.write("site.toml", &format!("[[route]]\npath = '/'\ntext = '{text}'\n"));
        Source::new(Some(&file)).read().unwrap_or_else(|bad| panic!("{}", bad.summary())).site
    };
    let (one, two) = (read("one"), read("two"));
    let live = Live::new(one, || None);
    let site = Served::live(folder, live.clone());
    assert_eq!(site.ask("GET /").body, "one");
    live.swap(two);
    assert_eq!(site.ask("GET /").body, "two");
}
