//! Killed at any moment, over and over, while jobs come in: what was accepted is done, and what was done stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::board::{Board, STAYS, accepted, ask, exists, id, json, kill, stop, wait};
use crate::harness::{Answer, Daemon};

/// Each leaves behind what it has read, by the id of the job.
pub const ROUTES: &str = r#"
[[route]]
path = "/small"
job = ["FOLDER/count"]
workers = 3
queue = 40
[[route]]
path = "/large"
job = ["FOLDER/count"]
workers = 2
queue = 20
[[route]]
path = "/again"
job = ["FOLDER/again"]
workers = 2
queue = 20
retries = 1
backoff = "10ms"
[[route]]
path = "/keyed/{name}"
job = ["FOLDER/count", "{path.name}"]
queue = 20
"#;

pub const PATHS: [&str; 4] = ["/small", "/large", "/again", "/keyed/a"];

/// How many bytes it reads, and that it has come to its end.
pub const COUNT: &str = "echo $(wc -c) >> FOLDER/effect-$JOB_ID";

/// The first attempt fails.
pub const AGAIN: &str = "if [ -e FOLDER/tried-$JOB_ID ]; then echo $(wc -c) >> FOLDER/effect-$JOB_ID
else touch FOLDER/tried-$JOB_ID; exit 1; fi";

/// What the clients know.
#[derive(Default)]
pub struct Known {
    /// Where a job is, and how much it was to read.
    pub accepted: Mutex<BTreeMap<String, usize>>,
    /// How a job stood when it was seen to be over.
    over: Mutex<BTreeMap<String, Value>>,
    /// By key: where its job is.
    keyed: Mutex<BTreeMap<String, String>>,
    refused: AtomicU64,
    unanswered: AtomicU64,
    /// How many times it ended without a marker.
    unmarked: AtomicU64,
    is_over: AtomicBool,
}

impl Known {
    fn accept(&self, answer: &Answer, size: usize) -> String {
        let at = accepted(answer);
        self.accepted.lock().expect("no panic").insert(at.clone(), size);
        at
    }

    /// Counts what became of a submission; where its job is, if it was accepted.
    pub fn take(&self, answer: std::io::Result<Answer>, size: usize) -> Option<String> {
        match answer {
            Err(_) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                None
            }
            Ok(answer) if answer.status() == 503 => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                self.refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20)); // as a client should
                None
            }
            Ok(answer) => Some(self.accept(&answer, size)),
        }
    }
}

/// Random enough for moments and sizes.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn submit_all_the_time(web: SocketAddr, known: &Known, number: u64) {
    let mut dice = Dice(number);
    let mut next_key = 0;
    while !known.is_over.load(Ordering::Relaxed) {
        let kind = dice.roll(4);
        let size = match kind {
            0 => dice.roll(4000),
            1 => 33_000 + dice.roll(200_000),
            _ => dice.roll(200),
        };
        let size = usize::try_from(size).expect("small");
        let body = vec![b'x'; size];
        if kind < 3 {
            known.take(ask(web, "POST", PATHS[usize::try_from(kind).expect("small")], "", &body), size);
            continue;
        }
        let key = format!("{number}-{next_key}");
        next_key += 1;
        let header = format!("Idempotency-Key: {key}\r\n");
        // Until it is known to be accepted, and once more.
        for _ in 0..2 {
            while !known.is_over.load(Ordering::Relaxed) {
                let Some(at) = known.take(ask(web, "POST", "/keyed/a", &header, &body), size) else {
                    continue;
                };
                let before = known.keyed.lock().expect("no panic").insert(key.clone(), at.clone());
                assert!(before.is_none_or(|before| before == at), "one key, two jobs");
                break;
            }
        }
    }
}

/// Asks how jobs stand; one that is over stays as it is.
fn look_all_the_time(web: SocketAddr, known: &Known) {
    let mut dice = Dice(99);
    while !known.is_over.load(Ordering::Relaxed) {
        let at = {
            let accepted = known.accepted.lock().expect("no panic");
            let place = dice.roll(accepted.len().max(1) as u64);
            accepted.keys().nth(usize::try_from(place).expect("small")).cloned()
        };
        match at {
            Some(at) => drop(ask(web, "GET", &at, "", b"").map(|answer| check(known, &at, &answer))),
            None => std::thread::yield_now(),
        }
    }
}

fn check(known: &Known, at: &str, answer: &Answer) {
    assert_eq!(answer.status(), 200, "{at} was accepted: {answer:?}");
    let job = json(answer);
    if job["state"] != "queued" && job["state"] != "running" {
        let before = known.over.lock().expect("no panic").insert(at.to_owned(), job.clone());
        assert!(before.as_ref().is_none_or(|before| *before == job), "{before:?} has become {job}");
    }
}

/// Starts and ends it so often, while clients submit.
fn storm(board: &Board, known: &Arc<Known>, times: usize, end: impl Fn(Daemon)) {
    let web = board.site.web;
    let clients: Vec<_> = (1..=8)
        .map(|number| {
            let known = known.clone();
            std::thread::spawn(move || match number {
                8 => look_all_the_time(web, &known),
                number => submit_all_the_time(web, &known, number),
            })
        })
        .collect();
    let mut dice = Dice(4711);
    let mut unmarked_since = None;
    for _ in 0..times {
        let daemon = board.wake();
        if let Some(since) = unmarked_since {
            nothing_waits(board, since);
        }
        any_moment(board, known, &mut dice);
        end(daemon);
        unmarked_since = (!exists(&board.due())).then(SystemTime::now);
        known.unmarked.fetch_add(u64::from(unmarked_since.is_some()), Ordering::Relaxed);
    }
    // The clients may wait for an answer.
    let daemon = board.wake();
    known.is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
    stop(daemon);
}

/// There was no marker then, so there was no job.
fn nothing_waits(board: &Board, since: SystemTime) {
    let since = text_of(since);
    for job in PATHS.iter().flat_map(|path| board.list(path)) {
        let is_over = job["state"] == "done" || job["state"] == "failed";
        assert!(is_over || job["created"].as_str().expect("text") > &*since, "no marker at {since}: {job}");
    }
}

/// As jobs have it.
fn text_of(at: SystemTime) -> String {
    let text = std::process::Command::new("date")
        .args(["--utc", "+%Y-%m-%dT%H:%M:%S.%3NZ", "--date"])
        .arg(format!("@{}", at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()))
        .output()
        .expect("it can be run");
    String::from_utf8(text.stdout).expect("text").trim().to_owned()
}

/// Returns after a moment; or when so many more were accepted, or done, as else on a busy machine none ever would be.
fn any_moment(board: &Board, known: &Known, dice: &mut Dice) {
    let kind = dice.roll(4);
    let count = || match kind {
        2 => known.accepted.lock().expect("no panic").len(),
        _ => effects(board),
    };
    let (begun, so_many) = (Instant::now(), usize::try_from(dice.roll(12)).expect("small"));
    if kind > 1 {
        let before = count();
        while count() < before + so_many && begun.elapsed() < Duration::from_millis(600) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::thread::sleep(Duration::from_micros(dice.roll(60_000)));
}

fn effects(board: &Board) -> usize {
    let entries = std::fs::read_dir(board.path("")).expect("a folder").flatten();
    entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"effect-")).count()
}

/// Every job there is has been done, and nothing is left over; how many there are.
pub fn all_is_done(board: &Board, known: &Known) -> usize {
    let daemon = board.wake();
    let accepted = known.accepted.lock().expect("no panic").clone();
    let mut all = BTreeSet::new();
    for path in PATHS {
        // Those that were never answered, too.
        assert!(wait(|| board
            .list(path)
            .iter()
            .all(|job| job["state"] == "done" || job["state"] == "failed")));
        all.extend(board.list(path).iter().map(|job| job["location"].as_str().expect("text").to_owned()));
    }
    for (at, size) in &accepted {
        assert!(all.contains(at), "{at} is lost");
        check(known, at, &board.get(at));
        let effect = board.text(&format!("effect-{}", id(at)));
        assert!(effect.lines().count() >= 1, "{at} was not done: {}", board.job(at));
        assert!(effect.lines().all(|line| line == size.to_string()), "{at} has read {effect:?}, not {size}");
    }
    for at in &all {
        let job = board.job(at);
        assert_eq!((&job["state"], &job["exit_code"]), (&"done".into(), &0.into()), "{job}");
        assert_ne!(board.text(&format!("effect-{}", id(at))), "", "{at}");
    }
    // What it has in the spool is the input of a job that is known, whole.
    for name in board.spool() {
        let (id, kind) = name.split_once('.').expect("a name");
        assert!(all.iter().any(|at| at.ends_with(id)), "{name} is left over");
        assert!(matches!(kind, "in" | "out"), "{name} is left over");
    }
    assert!(wait(|| !exists(&board.due())), "the marker stays");
    stop(daemon);
    assert!(!exists(&board.due()));
    all.len()
}

#[test]
fn kill_9_at_any_moment_loses_nothing() {
    let board = Board::new(&[("count", COUNT), ("again", AGAIN)], &format!("{STAYS}{ROUTES}"));
    let known = Arc::default();
    storm(&board, &known, 200, kill);
    let over = known.over.lock().expect("no panic").len();
    let all = all_is_done(&board, &known);
    let accepted = known.accepted.lock().expect("no panic").len();
    let times = |count: &dyn Fn(usize) -> bool| {
        let effect = |at: &String| board.text(&format!("effect-{}", id(at))).lines().count();
        known.accepted.lock().expect("no panic").keys().filter(|at| count(effect(at))).count()
    };
    println!(
        "200 times kill -9: {accepted} accepted, of them {} done once and {} more often, 0 lost; {} done that nobody was \
         told of, {} refused, {} unanswered, {} seen over before the end and never otherwise, {} keys of one job each; {} times there was no \
         job and no marker",
        times(&|count| count == 1),
        times(&|count| count > 1),
        all - accepted,
        known.refused.load(Ordering::Relaxed),
        known.unanswered.load(Ordering::Relaxed),
        over,
        known.keyed.lock().expect("no panic").len(),
        known.unmarked.load(Ordering::Relaxed),
    );
    assert!(accepted > 200 && times(&|count| count > 0) == accepted);
}

#[test]
fn sigterm_at_any_moment_answers_everybody_and_loses_nothing() {
    let config = format!("{STAYS}drain = \"3s\"\n{ROUTES}");
    let board = Board::new(&[("count", COUNT), ("again", AGAIN)], &config);
    let known = Arc::default();
    storm(&board, &known, 25, |daemon| drop(stop(daemon)));
    assert_eq!(known.unanswered.load(Ordering::Relaxed), 0, "a drain answers what it has accepted");
    let all = all_is_done(&board, &known);
    let accepted = known.accepted.lock().expect("no panic").len();
    println!(
        "25 times SIGTERM: {accepted} accepted, all done; {} refused",
        known.refused.load(Ordering::Relaxed)
    );
    assert_eq!(all, accepted);
}
