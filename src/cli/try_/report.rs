//! What `try` says.

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use signal_hook::low_level::signal_name;

use super::Outcome;
use crate::activation::SocketError;
use crate::cli::code;
use crate::cli::plain::span;
use crate::lifecycle::time_of_day::time_of_day;

/// Prints a line with the time of day.
pub fn tell(line: &str) {
    print(&format!("{}  {line}", time_of_day(SystemTime::now())));
}

/// Prints a line; when nobody reads any more, that is no reason to end.
pub fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The first lines: where it is, and what to do.
pub fn opening(address: &str, program: &str, runtime: &Path) -> String {
    let (what, how) = match address.strip_prefix("unix:") {
        Some(path) => (address.to_owned(), format!("curl --unix-socket {path} http://localhost/")),
        None => (format!("http://{address}/"), "open it".to_owned()),
    };
    format!(
        "Holding {what} - nothing is running.\n\
         To wake dormouse, {how}; leave it alone and it falls asleep. Ctrl-C ends.\n\
         To ask why it is awake: {program} why --runtime {}",
        runtime.display()
    )
}

/// It is ready.
pub fn woke(number: u64, pid: u32, ready_in: Duration) -> String {
    event("woke", number, &format!("pid {pid}, ready in {}", span(ready_in)))
}

/// It could not even be started.
pub fn cannot_start(number: u64, error: &io::Error) -> String {
    event("failed", number, &format!("cannot be started: {error}"))
}

/// It has ended.
pub fn end(outcome: &Outcome, number: u64, after: Duration, exit: ExitStatus) -> String {
    let word = match outcome {
        Outcome::Asleep => "asleep",
        Outcome::Stopped => "stopped",
        Outcome::Failed { .. } => "failed",
    };
    event(word, number, &format!("after {}, {}", span(after), describe(exit)))
}

/// It does not even get ready, so the next start is put off.
pub fn pause(pause: Duration) -> String {
    format!("        the next start is {} away", span(pause))
}

/// Why the port cannot be held, and the way out.
pub fn cannot_listen(address: &str, error: &SocketError) -> String {
    let reason = match error {
        SocketError::Bind { source, .. } => source,
        other => return other.to_string(),
    };
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{address} is taken by another program; hold another: dormouse try --listen 127.0.0.1:8081"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "{address} is not for everybody; hold a port above 1023: dormouse try --listen 127.0.0.1:8080"
            )
        }
        _ => format!("{error}: {reason}"),
    }
}

/// The columns: what, which wake, details.
fn event(what: &str, number: u64, details: &str) -> String {
    format!("{what:<7} {:<4} {details}", format!("#{number}"))
}

fn describe(exit: ExitStatus) -> String {
    match (exit.code(), exit.signal()) {
        (Some(code), _) => match meaning(code) {
            Some(meaning) => format!("exit {code}: {meaning}"),
            None => format!("exit {code}"),
        },
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("killed by {name}"),
            None => format!("killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// The exit codes of `serve`, and those of `activate-exec`.
fn meaning(exit: i32) -> Option<&'static str> {
    match u8::try_from(exit).ok()? {
        code::USAGE => Some("it was called wrongly; see above"),
        code::SOFTWARE => Some("a bug in dormouse"),
        code::CUT => Some("cut by a second signal"),
        code::CONFIG => Some("the config file has errors; `dormouse check --config FILE` lists them"),
        126 | 127 => Some("the program could not be run"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn wakes_and_sleeps_stand_in_columns() {
        assert_eq!(woke(1, 4242, Duration::from_micros(3_140)), "woke    #1   pid 4242, ready in 3.1 ms");
        assert_eq!(
            end(&Outcome::Asleep, 1, Duration::from_secs(32), exited(0)),
            "asleep  #1   after 32.0 s, exit 0"
        );
        assert_eq!(
            end(&Outcome::Stopped, 12, Duration::from_secs(2), exited(75)),
            "stopped #12  after 2.0 s, exit 75: cut by a second signal"
        );
    }

    #[test]
    fn an_end_says_why() {
        let failed = |exit| end(&Outcome::Failed { was_ready: true }, 1, Duration::from_millis(20), exit);
        assert!(failed(exited(78)).contains("exit 78: the config file has errors"));
        assert!(failed(exited(3)).ends_with("after 20.0 ms, exit 3"));
        assert!(failed(ExitStatus::from_raw(11)).ends_with("killed by SIGSEGV"));
    }

    #[test]
    fn a_taken_port_comes_with_the_way_out() {
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        let error = SocketError::Bind { address: "127.0.0.1:80".into(), source };
        let text = cannot_listen("127.0.0.1:80", &error);
        assert!(text.starts_with("127.0.0.1:80 is taken by another program"), "{text}");
        assert!(text.contains("--listen"), "{text}");
    }

    #[test]
    fn the_opening_says_how_to_wake_it() {
        assert!(
            opening("127.0.0.1:8080", "dormouse", Path::new("/tmp/r"))
                .starts_with("Holding http://127.0.0.1:8080/ - nothing is running.")
        );
        let opening = opening("unix:/tmp/s", "target/dormouse", Path::new("/tmp/r"));
        assert!(opening.contains("curl --unix-socket /tmp/s http://localhost/"), "{opening}");
        assert!(opening.ends_with("target/dormouse why --runtime /tmp/r"), "{opening}");
    }
}
