//! A process group that its first process has left, by its end.
//!
//! That one has been reaped, but the id of the group is theirs who are in it, and nobody else can be given it: not between
//! two looks either, unless all other ids there are were given away in that moment.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process_group};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How long is waited between two looks: first, and at last.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// After so many looks somebody may be there who is only not reaped. It takes a look at all processes to know.
const LOOKS: u32 = 8;

/// Waits until nobody is left in it, or only such as have ended.
pub async fn end(group: Pid) {
    let mut pause = PAUSES[0];
    for look in 1.. {
        if test_kill_process_group(group).is_err() {
            return;
        }
        if look % LOOKS == 0 && !spawn_blocking(move || is_alive(group)).await.unwrap_or(true) {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// Whether a process of this group has not ended. Those of other users may not be seen, but are none that we started.
fn is_alive(group: Pid) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    let stats = processes.flatten().filter_map(|process| fs::read(process.path().join("stat")).ok());
    stats.into_iter().any(|stat| is_of(&stat, group.as_raw_nonzero().get()))
}

/// What proc_pid_stat(5) says of a process: whether it is in this group, and has not ended.
fn is_of(stat: &[u8], group: i32) -> bool {
    // Its name, in parentheses, can have anything in it.
    let rest = memchr::memrchr(b')', stat).map_or(&[][..], |end| &stat[end + 1..]);
    let mut fields = rest.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let (state, of) = (fields.next(), fields.nth(1));
    let of = of.and_then(|of| std::str::from_utf8(of).ok()?.parse::<i32>().ok());
    of == Some(group) && !matches!(state, Some(b"Z" | b"X" | b"x"))
}

#[cfg(test)]
mod tests {
    use rustix::process::{getpgid, getpid};

    use super::*;

    #[test]
    fn who_has_ended_is_nobody() {
        for (stat, expected) in [
            ("7 (sh) S 1 70 70 0", true),
            ("7 (a) Z 1 (b) R 1 70 70", true),
            ("7 (sh) Z 1 70 70 0", false),
            ("7 (sh) X 1 70 70 0", false),
            ("7 (sh) S 1 71 70 0", false),
            ("7 (70 70", false),
            ("", false),
        ] {
            assert_eq!(is_of(stat.as_bytes(), 70), expected, "{stat}");
        }
        assert!(is_alive(getpgid(None).expect("our own")), "we are, {:?}", getpid());
        assert!(!is_alive(Pid::from_raw(i32::MAX).expect("no process has it")));
    }
}
