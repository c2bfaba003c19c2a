use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::lifecycle::{End, Figures};

/// A runtime directory, gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-carry-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn open(&self) -> Carry {
        Carry::open(Folder::take(&self.0).expect("it is there").expect("nobody has it"))
    }

    fn read(&self) -> Document {
        read(&self.0).expect("it can be read").expect("it is there")
    }

    fn put(&self, bytes: &[u8]) {
        std::fs::write(self.0.join(FILE), bytes).expect("a file can be written");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn life(pid: u32, age_ms: u64, end: End) -> Life {
    Life {
        pid,
        began: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        woken_by: Some("192.0.2.7:4711 on http".to_owned()),
        ready_in: Duration::from_micros(1_233),
        awake_for: Duration::from_millis(age_ms),
        quiet_for: Duration::ZERO,
        figures: Figures { served: 3, noise: 1, ..Figures::default() },
        end,
        why: String::new(),
    }
}

#[test]
fn wakes_and_lives_go_on() {
    let directory = Directory::new();
    for wake in 1..=60 {
        let carry = directory.open();
        carry.note(&life(wake, 0, End::Running));
        assert_eq!((carry.wakes(), directory.read().wakes), (u64::from(wake), u64::from(wake)));
        carry.note(&life(wake, 10, End::Asleep));
    }
    let lives = directory.read().lives;
    assert_eq!(lives.len(), document::MOST_LIVES);
    assert_eq!((lives[0].pid, lives[19].clone()), (41, life(60, 10, End::Asleep)));
}

#[test]
fn one_that_ended_without_a_word_is_told_by_the_next() {
    let directory = Directory::new();
    directory.open().note(&life(1, 0, End::Running));
    let carry = directory.open();
    carry.note(&life(2, 0, End::Running));
    let ends: Vec<_> = carry.lives().iter().map(|life| life.end).collect();
    assert_eq!((carry.wakes(), ends), (2, vec![End::Lost, End::Running]));
    assert!(carry.lives()[0].why.contains("without a word"));
}

#[test]
fn one_that_was_called_back_does_not_look_asleep() {
    let directory = Directory::new();
    let carry = directory.open();
    for (age, end) in [(0, End::Running), (10, End::Asleep), (11, End::Running)] {
        carry.note(&life(1, age, end));
    }
    assert_eq!(directory.read().lives, [life(1, 11, End::Running)]);
}

#[test]
fn an_older_word_never_replaces_a_newer_one() {
    let directory = Directory::new();
    let carry = Arc::new(directory.open());
    let threads: Vec<_> = (0..64_u32)
        .map(|turn| {
            let carry = carry.clone();
            // Scattered, so that the newest is not the last to come.
            std::thread::spawn(move || carry.note(&life(1, u64::from(turn * 37 % 64), End::Running)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(directory.read().lives, [life(1, 63, End::Running)]);
}

#[test]
fn what_cannot_be_used_is_begun_anew() {
    let whole = Document::default().render();
    let faults: [(&[u8], &str); 7] = [
        (&whole.as_bytes()[..whole.len() / 2], "damaged"),
        (b"", "damaged"),
        (b"[1]", "no JSON object"),
        (b"{\"wakes\":3,\"lives\":[]}", "no \"version\""),
        (b"{\"version\":999,\"wakes\":3,\"lives\":[]}", "version 999"),
        (b"{\"version\":1,\"wakes\":-3,\"lives\":[]}", "\"wakes\" is no number"),
        (b"{\"version\":1,\"wakes\":3,\"lives\":[{\"pid\":1}]}", "not whole"),
    ];
    let directory = Directory::new();
    for (bytes, fault) in faults {
        directory.put(bytes);
        let error = read(&directory.0).expect_err("it cannot be used").to_string();
        assert!(error.contains(fault), "{error}");
        let carry = directory.open();
        carry.note(&life(1, 0, End::Running));
        assert_eq!(directory.read().wakes, 1, "it is replaced");
    }
}

#[test]
fn a_huge_file_is_not_even_read() {
    let directory = Directory::new();
    let file = std::fs::File::create(directory.0.join(FILE)).expect("a file");
    file.set_len(1 << 40).expect("it is sparse");
    assert!(matches!(read(&directory.0), Err(Unreadable::TooLarge)));
    directory.open().note(&life(1, 0, End::Running));
    assert_eq!(directory.read().wakes, 1);
}

#[test]
fn members_of_a_newer_program_are_carried_along_unless_they_are_huge() {
    let directory = Directory::new();
    directory.put(br#"{"version":1,"wakes":4,"lives":[],"buckets":{"192.0.2.7":[3,4]}}"#);
    directory.open().note(&life(1, 0, End::Running));
    let text = std::fs::read_to_string(directory.0.join(FILE)).expect("text");
    assert!(text.contains(r#""buckets":{"192.0.2.7":[3,4]}"#) && text.contains(r#""wakes":5"#), "{text}");

    let filler = "x".repeat(1024 * 1024 - 60);
    directory.put(format!(r#"{{"version":1,"wakes":4,"lives":[],"filler":"{filler}"}}"#).as_bytes());
    directory.open().note(&life(1, 0, End::Running));
    assert_eq!(directory.read().wakes, 5);
}

#[test]
fn its_group_may_read_it_and_what_a_killed_writer_left_is_replaced() {
    let directory = Directory::new();
    let left = directory.0.join("carry.json.new");
    std::fs::write(&left, "half").expect("a file");
    directory.open().note(&life(1, 0, End::Running));
    let mode = std::fs::metadata(directory.0.join(FILE)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777 & !0o040, 0o600, "{mode:o}"); // the umask may take the group's
    assert!(!left.exists());
}

#[test]
fn a_directory_has_one_owner() {
    let directory = Directory::new();
    assert!(!Folder::is_taken(&directory.0).expect("it is there"));
    let carry = directory.open();
    assert!(Folder::is_taken(&directory.0).expect("it is there"));
    assert!(Folder::take(&directory.0).expect("it is there").is_none());
    drop(carry);
    assert!(!Folder::is_taken(&directory.0).expect("it is there"));
}

fn lives() -> impl Strategy<Value = Life> {
    let end = prop::sample::select(End::ALL.to_vec());
    let micros = || (0..1_u64 << 40).prop_map(Duration::from_micros);
    let texts = (prop::option::of("\\PC{0,200}"), "\\PC{0,200}");
    (any::<u32>(), 0..1_u64 << 42, texts, (micros(), micros(), micros()), any::<[u64; 5]>(), end).prop_map(
        |(pid, began_ms, (woken_by, why), (ready_in, awake_for, quiet_for), counts, end)| {
            let [served, noise, accepted, datagrams, late_bytes] = counts;
            Life {
                pid,
                began: SystemTime::UNIX_EPOCH + Duration::from_millis(began_ms),
                woken_by,
                ready_in,
                awake_for,
                quiet_for,
                figures: Figures { served, noise, accepted, datagrams, late_bytes },
                end,
                why,
            }
        },
    )
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
    }

    #[test]
    fn no_values_panic_the_reader(
        wakes in any::<f64>(), text in "\\PC*", pid in any::<i64>(), at in any::<f64>(), lost in 0..7_usize,
    ) {
        let mut value = document::life_to_json(&life(1, 1, End::Asleep));
        let names = ["pid", "began", "ready_in", "awake_for", "end", "why", "woken_by"];
        value["pid"] = pid.into();
        value["began"] = at.into();
        value["quiet_for"] = (-at).into();
        value[names[lost]] = text.into();
        let file = serde_json::json!({ "version": 1, "wakes": wakes, "lives": [value] });
        let _ = Document::parse(file.to_string().as_bytes());
    }

    #[test]
    fn what_is_written_is_read_again(lives in prop::collection::vec(lives(), 0..25), wakes in any::<u64>()) {
        let mut document = Document { wakes, ..Document::default() };
        for life in &lives {
            document.note(life, true);
        }
        prop_assert_eq!(Document::parse(document.render().as_bytes()), Ok(document));
    }
}
