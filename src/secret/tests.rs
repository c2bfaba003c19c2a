use std::fs;

use proptest::prelude::*;

use super::*;
use crate::handler::files::Scratch;
use crate::schema::{Entry, Faults, Item, Kind, Place, Table, Value};

const KEY: Key = Key::new("secret", Kind::Text, "Where it is kept.").example("credential:deploy");

fn credential(name: &str) -> Secret {
    Secret::Credential(name.to_owned())
}

#[test]
fn the_two_forms() {
    assert_eq!(Secret::parse("credential:deploy"), Ok(credential("deploy")));
    assert_eq!(Secret::parse("file:/etc/dormouse/key"), Ok(Secret::File("/etc/dormouse/key".into())));
    for name in ["", ".", "..", "a/b", "a:b", "a\nb", "a\0b", "ä", &"x".repeat(256)] {
        assert_eq!(Secret::parse(&format!("credential:{name}")), Err(SecretSyntax::Name), "{name:?}");
    }
    for path in ["", "key", "./key", "~/key", "/a\0b"] {
        assert_eq!(Secret::parse(&format!("file:{path}")), Err(SecretSyntax::Path), "{path:?}");
    }
    for text in ["", "hunter2", "Credential:x", " file:/x", "env:KEY"] {
        assert_eq!(Secret::parse(text), Err(SecretSyntax::Neither), "{text:?}");
    }
}

#[test]
fn a_secret_in_the_config_is_complained_of_without_being_repeated() {
    for inline in ["hunter2", "credential:hunter2/", "file:hunter2"] {
        let item = Item { value: Value::Text(inline.to_owned()), place: Place::default() };
        let entry = Entry { name: "secret".to_owned(), place: Place::default(), item };
        let table = Table { place: Place::default(), entries: vec![entry] };
        let mut faults = Faults::default();
        assert_eq!(Secret::of_key(&mut Reader::new(&table, &mut faults), &KEY), None);
        let fault = faults.iter().next().unwrap();
        let said = format!("{} {}", fault.message, fault.help.as_deref().unwrap());
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains("credential:NAME") && said.contains("file:/absolute/path"), "{said}");
        assert!(fault.is_concealed);
    }
}

#[test]
fn one_newline_at_its_end_is_not_part_of_it() {
    let scratch = Scratch::new();
    for (written, is) in [("key", "key"), ("key\n", "key"), ("key\n\n", "key\n"), (" k \r\n", " k \r")] {
        scratch.write("deploy", written.as_bytes());
        let read = credential("deploy").read_beside(Some(scratch.path())).unwrap();
        assert_eq!(read.as_bytes(), is.as_bytes());
        let read = Secret::File(scratch.path().join("deploy")).read_beside(None).unwrap();
        assert_eq!(read.as_bytes(), is.as_bytes());
    }
}

#[test]
fn a_new_one_counts_at_once() {
    let scratch = Scratch::new();
    let secret = Secret::File(scratch.path().join("key"));
    for text in ["one", "two"] {
        scratch.write("key", text.as_bytes());
        assert_eq!(secret.read().unwrap().as_bytes(), text.as_bytes());
    }
}

#[test]
fn what_cannot_be_read_says_the_way_out() {
    let scratch = Scratch::new();
    let error = credential("deploy").read_beside(None).unwrap_err();
    assert!(error.to_string().contains("LoadCredential=deploy:/"), "{error}");
    let error = credential("deploy").read_beside(Some(scratch.path())).unwrap_err();
    let path = scratch.path().join("deploy").display().to_string();
    assert!(error.to_string().contains("LoadCredential=deploy:/"), "{error}");
    assert!(error.to_string().contains(&path), "{error}");
    let gone = Secret::File(path.clone().into()).read().unwrap_err();
    assert!(gone.to_string().contains(&format!("LoadCredential=secret:{path}")), "{gone}");
    assert!(gone.to_string().contains("No such file"), "{gone}");
}

#[test]
fn what_is_no_secret_is_refused() {
    let scratch = Scratch::new();
    let read = |name: &str| credential(name).read_beside(Some(scratch.path()));
    for empty in ["", "\n"] {
        scratch.write("empty", empty.as_bytes());
        assert!(matches!(read("empty"), Err(SecretError::Empty { .. })), "{empty:?}");
    }
    scratch.write("most", &vec![b'x'; LARGEST as usize]);
    assert_eq!(read("most").unwrap().as_bytes().len() as u64, LARGEST);
    scratch.write("more", &vec![b'x'; LARGEST as usize + 1]);
    assert!(matches!(read("more"), Err(SecretError::TooLarge { .. })));
    fs::create_dir(scratch.path().join("folder")).unwrap();
    assert!(matches!(read("folder"), Err(SecretError::Credential { .. })));
    assert!(matches!(Secret::File("/dev/zero".into()).read(), Err(SecretError::File { .. })));
}

#[test]
fn nothing_shows_it() {
    let scratch = Scratch::new();
    scratch.write("deploy", b"hunter2");
    let revealed = credential("deploy").read_beside(Some(scratch.path())).unwrap();
    assert!(!format!("{revealed:?}{revealed:#?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn what_is_read_is_said_again(text in "(credential:|file:/?|)\\PC{0,20}") {
        if let Ok(secret) = Secret::parse(&text) {
            prop_assert_eq!(secret.to_string(), text);
        }
    }
}
