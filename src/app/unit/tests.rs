use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::systemctl::Said;
use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A directory of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("dormouse-unit-{}-{next}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A unit whose systemctl is that script; it looks and asks all the time.
fn unit(script: &str) -> Unit {
    let mut unit = Unit::new("wiki.service").expect("a name");
    unit.systemctl = Systemctl::script(script);
    unit.hierarchies = Vec::new();
    (unit.look, unit.ask) = (Duration::from_millis(1), Duration::from_millis(1));
    unit
}

/// As above; systemctl looks into the folder, which is `$F`.
fn unit_in(folder: &Path, script: &str) -> Unit {
    unit(&format!("F='{}'; {script}", folder.display()))
}

fn facts(lines: &str) -> Facts {
    Facts::parse(lines)
}

#[test]
fn names_of_services_are_taken_as_systemd_takes_them() {
    let longest = format!("{}.service", "x".repeat(255 - 8));
    for name in
        ["a.service", "dormouse-app-wiki.service", "dormouses.service", "a:b-_.\\x2d@c@d.service", &longest]
    {
        assert_eq!(Unit::new(name).map(|unit| unit.name().to_owned()), Ok(name.to_owned()));
    }
    let character = |character| NameError::Character { character };
    let wrong = [
        ("*.service", character('*')),
        ("a/b.service", character('/')),
        ("a b.service", character(' ')),
        ("a\n.service", character('\n')),
        ("ä.service", character('ä')),
        ("wiki", NameError::NoService { name: "wiki".to_owned() }),
        ("wiki.socket", NameError::NoService { name: "wiki.socket".to_owned() }),
        (".service", NameError::Empty { name: ".service".to_owned() }),
        ("@a.service", NameError::Empty { name: "@a.service".to_owned() }),
        (
            "a@.service",
            NameError::Template { name: "a@.service".to_owned(), example: "a@one.service".to_owned() },
        ),
        ("dormouse.service", NameError::Own { name: "dormouse.service".to_owned() }),
        ("dormouse@blog.service", NameError::Own { name: "dormouse@blog.service".to_owned() }),
    ];
    for (name, error) in wrong {
        assert_eq!(Unit::new(name).map(|_| ()), Err(error), "{name}");
    }
    assert_eq!(Unit::new(&format!("x{longest}")).map(|_| ()), Err(NameError::Long { length: 256 }));
}

#[tokio::test]
async fn systemctl_gets_the_verb_and_the_name_and_nothing_of_ours() {
    let folder = Folder::new();
    let unit = unit_in(&folder.0, r#"echo "$*" >>"$F/calls"; env | cut -d= -f1 | sort >"$F/env""#);
    unit.start(LONG).await.expect("started");
    unit.stop(LONG).await.expect("stopped");
    let calls = fs::read_to_string(folder.0.join("calls")).expect("calls");
    assert_eq!(
        calls,
        "--no-ask-password --no-pager start -- wiki.service\n--no-ask-password --no-pager stop -- wiki.service\n"
    );
    let names = fs::read_to_string(folder.0.join("env")).expect("names");
    let of_the_shell = ["_", "OLDPWD", "PWD", "SHLVL"];
    let names: Vec<_> = names.lines().filter(|name| !of_the_shell.contains(name)).collect();
    assert_eq!(names, ["LC_ALL", "PATH"]);
}

#[tokio::test]
async fn a_failed_job_says_why() {
    let script = r#"case "$*" in
        *start*) echo 'Job for wiki.service failed because a timeout was exceeded.' >&2
                 echo 'See "systemctl status wiki.service" for details.' >&2
                 exit 1 ;;
        *show*) printf '%s\n' Id=wiki.service Result=timeout LoadState=loaded ActiveState=failed ;;
    esac"#;
    let error = unit(script).start(LONG).await.expect_err("failed");
    assert_eq!(
        error.to_string(),
        "wiki.service did not start: failed because a timeout was exceeded (timeout); \
         see `journalctl -u wiki.service`"
    );
    assert_eq!(unit(script).state().await.expect("a state"), UnitState::Failed);
}

#[tokio::test]
async fn no_systemd_is_said() {
    let script = "echo 'Failed to connect to bus: No such file or directory' >&2; exit 1";
    for error in [
        unit(script).start(LONG).await.expect_err("no bus"),
        unit(script).state().await.map(|_| ()).expect_err("no bus"),
    ] {
        assert!(
            matches!(&error, UnitError::Unreachable { said, .. } if said.ends_with("No such file or directory"))
        );
    }
    let mut unit = unit("");
    unit.systemctl = Systemctl::named("/nonexistent/systemctl");
    let error = unit.stop(LONG).await.expect_err("no systemctl");
    assert!(error.to_string().contains("there is no `systemctl`"), "{error}");
}

#[tokio::test]
async fn a_call_ends_at_its_limit() {
    let limit = Duration::from_millis(50);
    let error = unit("exec sleep 1000").start(limit).await.expect_err("too long");
    assert!(
        matches!(error, UnitError::Overdue { verb: Verb::Start, limit: was, .. } if was == limit),
        "{error}"
    );
    assert_eq!(error.to_string(), "wiki.service did not start within 0.05 s; systemd may still be at it");
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_no_process() {
    let folder = Folder::new();
    let fifo = folder.0.join("alive");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    // Its end of the FIFO is open as long as it lives.
    let unit = unit_in(&folder.0, r#"exec 3>"$F/alive"; echo here >&3; exec sleep 1000"#);
    let call = tokio::spawn(async move { unit.start(LONG).await });
    let here = tokio::task::spawn_blocking(move || {
        let mut pipe = std::io::BufReader::new(fs::File::open(fifo).expect("open"));
        let mut line = String::new();
        pipe.read_line(&mut line).expect("a line");
        (line, pipe)
    });
    let (line, mut pipe) = here.await.expect("read");
    assert_eq!(line, "here\n");
    call.abort();
    assert!(call.await.expect_err("aborted").is_cancelled());
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).expect("its end");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn more_than_systemctl_ever_says_is_not_read() {
    let unit = unit("head -c 100000000 /dev/zero >&2 || true; exit 1");
    let error = unit.state().await.expect_err("failed");
    assert!(error.to_string().len() < 20_000);
}

#[tokio::test]
async fn it_ends_when_its_cgroup_is_gone_and_systemd_says_so() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("tree/system.slice/wiki.service")).expect("a cgroup");
    let state = folder.0.join("state");
    fs::write(&state, "ActiveState=active\nControlGroup=/system.slice/wiki.service\n").expect("a state");
    let mut unit = unit_in(&folder.0, r#"cat "$F/state"; echo >>"$F/asked""#);
    unit.hierarchies = vec!["/nonexistent".into(), folder.0.join("tree")];
    let waiting = tokio::spawn(async move { unit.ended().await });
    let asked = || fs::read(folder.0.join("asked")).map_or(0, |lines| lines.len());
    let until_asked = async |times| {
        while asked() < times {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    until_asked(1).await;
    // As long as the cgroup is there nobody is asked.
    fs::write(&state, "ActiveState=activating\n").expect("a state");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(asked(), 1);
    // Without it, and about to be restarted, it has not ended.
    fs::remove_dir(folder.0.join("tree/system.slice/wiki.service")).expect("gone");
    until_asked(3).await;
    assert!(!waiting.is_finished());
    fs::write(folder.0.join("new"), "ActiveState=failed\n").expect("a state");
    fs::rename(folder.0.join("new"), &state).expect("a state");
    assert_eq!(waiting.await.expect("no panic"), UnitState::Failed);
}

#[tokio::test]
async fn a_unit_that_systemd_cannot_be_asked_about_has_not_ended() {
    let folder = Folder::new();
    let script = r#"echo >>"$F/asked"; [ "$(wc -l <"$F/asked")" -gt 3 ] || exit 1; echo ActiveState=failed"#;
    assert_eq!(unit_in(&folder.0, script).ended().await, UnitState::Failed);
    assert_eq!(fs::read(folder.0.join("asked")).expect("it was asked").len(), 4);
}

#[test]
fn states_are_told_apart() {
    use UnitState::{Activating, Active, Deactivating, Failed, Inactive, NotFound};
    let cases = [
        ("LoadState=loaded\nActiveState=active", Some(Active)),
        ("LoadState=loaded\nActiveState=reloading", Some(Active)),
        ("LoadState=not-found\nActiveState=active", Some(Active)),
        ("LoadState=loaded\nActiveState=activating", Some(Activating)),
        ("ActiveState=deactivating\nLoadState=loaded", Some(Deactivating)),
        ("LoadState=loaded\nActiveState=inactive", Some(Inactive)),
        ("LoadState=masked\nActiveState=inactive", Some(Inactive)),
        ("LoadState=loaded\nActiveState=failed", Some(Failed)),
        ("LoadState=not-found\nActiveState=inactive", Some(NotFound)),
        ("LoadState=loaded\nActiveState=asleep", None),
        ("", None),
    ];
    for (lines, state) in cases {
        assert_eq!(facts(lines).state(), state, "{lines}");
    }
}

/// What systemd 252, 257 and 262 say, word by word.
#[test]
fn failures_are_told_apart_by_what_systemd_says() {
    let error = |code: i32, err: &str, lines: &str| {
        let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
        let said = Said { status, out: String::new(), err: err.to_owned() };
        UnitError::of_job(&said, "wiki.service", Verb::Start, &facts(lines))
    };
    const KNOWN: &str = "Id=wiki.service\nLoadState=loaded\nResult=success";
    for (code, words) in [
        (4, "Access denied"),
        (1, "Interactive authentication required."),
        (1, "Access denied as the requested operation requires interactive authentication. However, [...]"),
    ] {
        let text = format!("Failed to start wiki.service: {words}\nSee system logs and [...] for details.");
        assert!(matches!(error(code, &text, KNOWN), UnitError::Refused { .. }), "{words}");
        // polkit is asked before anybody looks whether there is such a unit.
        let missing = error(code, &text, "Id=wiki.service\nLoadState=not-found");
        assert!(matches!(missing, UnitError::NotFound { .. }), "{words}");
    }
    let missing =
        error(5, "Failed to start wiki.service: Unit wiki.service not found.", "LoadState=not-found");
    assert!(matches!(missing, UnitError::NotFound { .. }));
    for words in [
        "Job for wiki.service canceled.",
        "Job for wiki.service failed because the control process exited with error code.",
        "A dependency job for wiki.service failed. See 'journalctl -xe' for details.",
    ] {
        let error = error(1, words, "LoadState=loaded\nResult=exit-code");
        assert!(matches!(&error, UnitError::Job { result, .. } if result == "exit-code"), "{words}");
    }
    for (code, words) in [
        (1, "Failed to start wiki.service: Unit wiki.service is masked."),
        (1, "Failed to start wiki.service: Unit wiki.service has a bad unit file setting."),
        (1, "Failed to start wiki.service: Unit polkit.service is masked."),
        (4, "Failed to start wiki.service: Operation refused, unit may be requested by dependency only."),
        (1, ""),
    ] {
        let error = error(code, words, KNOWN);
        assert!(matches!(error, UnitError::Other { .. }), "{words}");
        assert!(!error.to_string().ends_with('.'));
    }
    let masked = error(1, "Failed to start wiki.service: Unit wiki.service is masked.", KNOWN);
    assert_eq!(masked.to_string(), "systemd could not start wiki.service: Unit wiki.service is masked");
    let canceled = error(1, "Job for wiki.service canceled.", KNOWN);
    assert_eq!(
        canceled.to_string(),
        "wiki.service did not start: canceled; see `journalctl -u wiki.service`"
    );
}

#[test]
fn a_refusal_names_the_way_out() {
    let refused = |unit: &str, id: &str| {
        UnitError::Refused { unit: unit.into(), id: id.to_owned(), verb: Verb::Stop }.to_string()
    };
    assert_eq!(
        refused("wiki.service", "wiki.service"),
        "systemd does not let dormouse stop wiki.service: it wants the polkit rule \
         /etc/polkit-1/rules.d/50-dormouse-wiki.rules, which `dormouse check` prints"
    );
    assert!(refused("dormouse-app-a.service", "").contains("50-dormouse.rules"));
    assert!(refused("dormouse-app-a.service", "wiki.service").contains("name wiki.service instead"));
}

proptest! {
    /// Whatever systemctl says, nothing panics, and what we say of it is one line.
    #[test]
    fn anything_may_be_said(err in any::<String>(), out in any::<String>()) {
        let status = ExitStatus::default();
        let said = Said { status, out: String::new(), err };
        let error = UnitError::of_job(&said, "wiki.service", Verb::Start, &facts(&out)).to_string();
        prop_assert_eq!(error.lines().count(), 1);
    }
}
