use super::*;

fn wrong(entries: Vec<Entry>, operand: Option<&Key>) -> Vec<String> {
    let (command, faults) = read(&Table { entries, ..Table::default() }, operand);
    assert!(command.is_some() || !faults.is_empty());
    let line = |fault: &crate::schema::Fault| {
        format!("{} / {}", fault.message, fault.help.as_deref().unwrap_or_default())
    };
    faults.iter().map(line).collect()
}

#[track_caller]
fn says(entries: Vec<Entry>, expected: &str) {
    let said = wrong(entries, Some(&RUN));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(expected), "{}", said[0]);
}

fn line(line: &[&str]) -> Vec<Entry> {
    vec![entry("run", texts(line))]
}

fn with(arguments: &[&str], name: &str, entries: &[(&str, &str)]) -> Vec<Entry> {
    vec![entry("run", texts(arguments)), entry(name, map(entries))]
}

#[test]
fn all_keys_at_once() {
    let entries = vec![
        entry("run", texts(&["/usr/bin/deploy", "--ref={json.ref}", "{page}", "{{}}"])),
        entry("allow", map(&[("json.ref", "refs/.*"), ("path.page", ".*")])),
        entry("when", map(&[("header.X-GitHub-Event", "push")])),
        entry("env", map(&[("A", r#"{"b": 1}"#)])),
        entry("dir", Value::Text("/srv".into())),
        entry("nice", Value::Integer(Some(-5))),
    ];
    let (command, faults) = read(&Table { entries: entries.clone(), ..Table::default() }, Some(&RUN));
    assert!(faults.is_empty(), "{faults:?}");
    let command = command.expect("a command");
    assert_eq!(command.program(), Some("/usr/bin/deploy"));
    assert_eq!(command.env, [("A".to_owned(), r#"{"b": 1}"#.to_owned())]);
    assert_eq!((command.dir.as_deref(), command.nice), (Some(std::path::Path::new("/srv")), Some(-5)));
    let (again, _) = read(&Table { entries, ..Table::default() }, Some(&RUN));
    assert_eq!(again.as_ref(), Some(&command), "equal settings keep what lasts");
    assert_ne!(again, Some(super::command(&["/usr/bin/deploy"], &[], &[])));
}

#[test]
fn the_program_is_fixed() {
    says(line(&["{json.what}"]), "a request chooses arguments, never the program");
    says(line(&["/opt/{page}/run"]), "a request chooses arguments, never the program");
    says(
        line(&["", "x"]),
        "the first of `run` is the program, and this one has no name / for example: run = [",
    );
    says(line(&["a", "b\0"]), "no argument or variable holds a NUL");
}

#[test]
fn placeholders_that_are_none() {
    says(line(&["a", "{jsn.ref}"]), "unknown placeholder {jsn.ref} / did you mean {json.ref}?");
    says(line(&["a", "{pgae}"]), "did you mean {page}?");
    says(line(&["a", "{print $1}"]), "there are {page} of the path, {path}, {host}, {client}, {query.NAME}");
    says(line(&["a", "{page"]), "written twice");
    let many = wrong(line(&["a", "{x}", "{y}"]), Some(&RUN));
    assert_eq!(many.len(), 2, "all of them: {many:?}");
}

#[test]
fn patterns_that_are_none() {
    let line = &["a", "{json.ref}", "{page}"];
    says(with(line, "allow", &[("json.rfe", ".*")]), "no argument of `run` uses {json.rfe}");
    says(with(line, "allow", &[("client", ".*")]), "no argument of `run` uses {client}");
    says(with(line, "allow", &[("jsn.ref", ".*")]), "did you mean {json.ref}?");
    says(with(line, "allow", &[("{json.ref}", ".*")]), "without braces / write \"json.ref\"");
    says(with(line, "allow", &[("json.ref", "(")]), "\"(\" is no pattern: ");
    says(with(line, "when", &[("json.ref", "a)|(b")]), "\"a)|(b\" is no pattern: ");
    says(
        with(line, "allow", &[("page", "a"), ("path.page", "b")]),
        "{path.page} has a pattern in `allow` already",
    );
    assert_eq!(wrong(with(line, "when", &[("query.x", "a"), ("header.x", "b")]), Some(&RUN)), [""; 0]);
}

#[test]
fn variables_that_are_none() {
    for name in ["", "A=B", "A\0"] {
        says(with(&["a"], "env", &[(name, "x")]), "is no name for a variable");
    }
    says(with(&["a"], "env", &[("A", "\0")]), "no argument or variable holds a NUL");
    says(with(&["a"], "env", &[("REF", "x{json.ref}")]), "not in the environment / make it an argument");
    assert_eq!(wrong(with(&["a"], "env", &[("A", "{x} {{page}} {")]), Some(&RUN)), [""; 0]);
}

#[test]
fn nobody_writes_code_for_a_shell() {
    says(
        line(&["/bin/sh", "-c", "deploy {json.ref}"]),
        r#"["sh", "-c", "... \"$1\"", "sh", "{json.ref}"]; or"#,
    );
    let held = with(&["sh", "-c", "deploy {json.ref}"], "allow", &[("json.ref", "[a-z]+")]);
    assert_eq!(wrong(held, Some(&RUN)), [""; 0]);
}

#[test]
fn workers_that_pull_have_no_command() {
    let when = || entry("when", map(&[("header.x", "y")]));
    let (command, faults) = read(&Table { entries: vec![when()], ..Table::default() }, None);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(command.expect("a queue").program(), None);
    let entries = vec![
        when(),
        entry("allow", map(&[("json.ref", "x")])),
        entry("env", map(&[("A", "x")])),
        entry("dir", Value::Text("/srv".into())),
        entry("nice", Value::Integer(Some(5))),
    ];
    let said = wrong(entries, None);
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().all(|line| line.contains("has no effect without a command")), "{said:?}");
}
