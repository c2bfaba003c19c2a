//! The end of the last job, and the edge of sleep: whoever comes or goes at that moment is not forgotten.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::board::{Board, STAYS, ask, exists, id, kill, stop, wait};
use crate::storm::{AGAIN, COUNT, Dice, Known, PATHS, ROUTES, all_is_done};

/// The marker is there as long as a job is, and whoever ends it at the wrong moment changes nothing about that.
#[test]
fn there_is_a_marker_as_long_as_there_is_a_job() {
    let board = Board::new(&[], &format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"true\"]\n"));
    let (mut dice, mut marked) = (Dice(17), 0);
    const ROUNDS: usize = 40;
    for _ in 0..ROUNDS {
        let daemon = board.wake();
        let at = board.submit("/a", "");
        std::thread::sleep(Duration::from_micros(dice.roll(30_000)));
        kill(daemon);
        let is_marked = exists(&board.due());
        marked += usize::from(is_marked);
        let daemon = board.wake();
        assert!(is_marked || board.job(&at)["state"] == "done", "no marker, and {}", board.job(&at));
        board.until(&at, "done");
        assert!(wait(|| !exists(&board.due())), "the marker stays");
        stop(daemon);
    }
    println!("{ROUNDS} times kill -9 soon after a 202: {marked} times before the job was over");
}

/// It falls asleep whenever it can, and is started as systemd would: for who waits, and for the marker.
#[test]
fn asleep_at_any_moment_loses_nothing() {
    let config = "[sleep]\nafter = \"3ms\"\nmin_awake = \"0s\"\ngrace = \"1ms\"\n";
    let board = Board::new(&[("count", COUNT), ("again", AGAIN)], &format!("{config}{ROUTES}"));
    let (known, web) = (Known::default(), board.site.web);
    let left = AtomicU64::new(2);
    let wakes = std::thread::scope(|scope| {
        for number in 1..=2 {
            let (known, left) = (&known, &left);
            scope.spawn(move || {
                let mut dice = Dice(number);
                for _ in 0..60 {
                    let (kind, size) = (dice.roll(3), dice.roll(300));
                    let (path, size) =
                        (PATHS[usize::try_from(kind).expect("small")], usize::try_from(size).expect("small"));
                    let size = if path == "/large" { size + 40_000 } else { size };
                    let answer = ask(web, "POST", path, "", &vec![b'x'; size]);
                    assert!(known.take(answer, size).is_some(), "nobody is refused, and everybody answered");
                    std::thread::sleep(Duration::from_micros(dice.roll(200_000)));
                }
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let mut wakes = 0;
        loop {
            let is_over = left.load(Ordering::Relaxed) == 0;
            if is_waited_for(&board) {
                board.wake().asleep();
                wakes += 1;
            } else if is_over {
                break wakes;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    // Nobody has asked since: what is not done now never would be.
    for at in known.accepted.lock().expect("no panic").keys() {
        assert_ne!(board.text(&format!("effect-{}", id(at))), "", "{at} is not done");
    }
    board.configure(&format!("{STAYS}{ROUTES}"));
    let all = all_is_done(&board, &known);
    println!("120 jobs over {wakes} sleeps: {all} done, none waited for somebody to ask");
    assert!(all == 120 && wakes > 1);
}

/// Whether systemd would start it: somebody waits, or a job is due.
fn is_waited_for(board: &Board) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&board.site.listener, PollFlags::IN)];
    let is_asked =
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&Timespec::default()))).expect("a listener") > 0;
    let due = board.due().metadata().and_then(|due| due.modified());
    is_asked || due.is_ok_and(|due| due <= SystemTime::now())
}
