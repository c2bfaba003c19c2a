//! A panic is a log line like any other, not raw text in somebody's terminal or journal.

use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

/// How long a panic waits for its line to be written. Usually it takes well under a millisecond.
const DEADLINE: Duration = Duration::from_millis(50);

/// Replaces the standard hook, which writes to stderr.
///
/// The line is flushed here: nobody knows yet whether the process outlives the panic, and without that line nobody
/// would ever know why it did not.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(location, thread, "{}", message(info, &location));
        super::flush(DEADLINE);
    }));
}

fn message(info: &PanicHookInfo<'_>, location: &str) -> String {
    format!("panic at {location}: {}", text_of(info.payload()))
}

/// What was given to `panic!`.
fn text_of(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(no text)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_panic_is_found() {
        let caught = |panics: fn()| panic::catch_unwind(panics).expect_err("it panics");
        assert_eq!(text_of(&*caught(|| panic!("plain"))), "plain");
        assert_eq!(text_of(&*caught(|| panic!("with {}", 1))), "with 1");
        assert_eq!(text_of(&*caught(|| panic::panic_any(7))), "(no text)");
    }
}
