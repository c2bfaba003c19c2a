use std::fs;
use std::path::PathBuf;

use super::*;

const GOOD: &str = "[sleep]\nafter = \"5s\"\n[[route]]\npath = \"/\"\ntext = \"hello\"\n";

/// A directory of its own for each test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("dormouse-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a scratch directory");
        Self(directory)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, text).expect("a file");
        file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bad_config_is_replaced_by_the_last_good_one() {
    let scratch = Scratch::new("last-good");
    let file = scratch.write("a.toml", GOOD);
    let source = Source::new(Some(&file)).with_state(&scratch.0);
    assert!(matches!(source.load(), Outcome::Good(loaded) if !loaded.site.is_provisional));
    assert_eq!(fs::read_to_string(scratch.0.join("last-good.toml")).expect("kept"), GOOD);

    scratch.write("a.toml", "[slep]\n");
    let Outcome::LastGood(diagnostics, loaded) = source.load() else { panic!("the last good config") };
    assert!(diagnostics.summary().ends_with("a.toml:1:2: unknown table \"slep\", did you mean \"sleep\"?"));
    assert!(loaded.site.is_provisional);
    assert_eq!(loaded.settings.sleep.after, Some(Duration::from_secs(5)));
    assert_eq!(loaded.site.routes.len(), 1);
}

#[test]
fn without_a_good_one_it_is_unavailable() {
    let scratch = Scratch::new("unavailable");
    for (text, last_good) in [(&b"\xff"[..], "also bad"), (b"[[route]]\n", "")] {
        let file = scratch.write("a.toml", text);
        fs::remove_file(scratch.0.join("last-good.toml")).ok();
        if !last_good.is_empty() {
            scratch.write("last-good.toml", last_good);
        }
        let source = Source::new(Some(&file)).with_state(&scratch.0);
        let Outcome::Unavailable(_, loaded) = source.load() else { panic!("nothing good to serve") };
        assert!(loaded.site.is_provisional);
        assert_eq!(loaded.settings, Settings::default());
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let scratch = Scratch::new("missing");
    let missing = scratch.0.join("missing.toml");
    let diagnostics = Source::new(Some(&missing)).read().err().expect("an error");
    assert!(diagnostics.summary().ends_with("missing.toml: there is no such file"));
    let diagnostics = Source::new(Some(&scratch.0)).read().err().expect("an error");
    assert!(diagnostics.summary().ends_with(": this is a directory"));
}

#[test]
fn no_routes_are_a_welcome() {
    let scratch = Scratch::new("welcome");
    let file = scratch.write("a.toml", "[sleep]\nafter = \"never\"\n");
    let loaded = Source::new(Some(&file)).read().expect("a good config");
    assert_eq!(loaded.site.routes[0].verb, "welcome");
    assert!(loaded.site.is_provisional);
    assert_eq!(loaded.settings.sleep.after, None);
}

#[test]
fn a_mended_file_is_seen_and_an_unchanged_one_is_not_read() {
    let scratch = Scratch::new("mended");
    let file = scratch.write("a.toml", "rubbish");
    let source = Source::new(Some(&file));
    assert!(matches!(source.load(), Outcome::Unavailable(..)));
    assert!(source.look().is_none());
    scratch.write("a.toml", GOOD);
    assert!(matches!(source.look(), Some(Outcome::Good(_))));
    assert!(source.look().is_none());
    fs::remove_file(&file).expect("removed");
    assert!(matches!(source.look(), Some(Outcome::Unavailable(..))));
    assert!(source.look().is_none());
}

#[test]
fn what_the_command_line_says_wins() {
    let scratch = Scratch::new("override");
    let file = scratch.write("a.toml", GOOD);
    let loaded = Source::new(Some(&file)).with_after(None).read().expect("a good config");
    assert_eq!(loaded.settings.sleep.after, None);
}

#[test]
fn the_last_good_config_is_written_only_when_it_changes() {
    let scratch = Scratch::new("keep");
    let (file, state) = (scratch.write("a.toml", GOOD), scratch.0.join("made/when/needed"));
    let kept = state.join("last-good.toml");
    let source = Source::new(Some(&file)).with_state(&state);
    source.load();
    let first = Stamp::of(&kept);
    source.load();
    assert!(first.is_some() && Stamp::of(&kept) == first);
    scratch.write("a.toml", GOOD.replace("hello", "bye"));
    source.load();
    assert_ne!(Stamp::of(&kept), first);
}
