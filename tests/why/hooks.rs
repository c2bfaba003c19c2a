//! What the program around the engine is told of a life, and when.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dormouse::lifecycle::{End, Hooks, Life};
use dormouse::server::Tower;
use dormouse::server::engine::Program;
use dormouse::{Engine, Sockets};

use crate::harness::{Folder, PATIENCE};

/// Tells the test of every call; a flush waits for the test.
struct Told {
    calls: Mutex<Sender<(&'static str, Life)>>,
    go: Mutex<Receiver<()>>,
}

impl Told {
    fn tell(&self, call: &'static str, life: &Life) {
        self.calls.lock().expect("whole").send((call, life.clone())).expect("the test listens");
    }
}

impl Hooks for Told {
    fn ready(&self, life: &Life) {
        self.tell("ready", life);
    }

    fn before_sleep(&self, life: &Life) {
        self.tell("before_sleep", life);
        let _ = self.go.lock().expect("whole").recv_timeout(PATIENCE);
    }

    fn called_back(&self, life: &Life) {
        self.tell("called_back", life);
    }

    fn left(&self, life: &Life) {
        self.tell("left", life);
    }
}

#[test]
fn a_life_that_is_called_back_from_a_flush_goes_on() {
    let folder = Folder::new();
    let path = folder.join("http.sock");
    let (calls, told) = channel();
    let (go, waits) = channel();
    let hooks = Arc::new(Told { calls: Mutex::new(calls), go: Mutex::new(waits) });
    let sockets = Sockets::default().or_bind(&format!("unix:{}", path.display())).expect("a fresh path");
    let engine = thread::spawn(move || {
        let app = axum::Router::new().route("/", axum::routing::get(|| async { "ok" }));
        let mut settings = dormouse::Settings::default();
        settings.sleep.after = Some(Duration::from_millis(50));
        settings.sleep.min_awake = Duration::ZERO;
        let program = Program { service: Tower(app), hooks };
        let engine = Engine::new(sockets).settings(settings).sleep_unasked();
        engine.run(async |_| Ok::<_, std::io::Error>(program)).expect("it starts")
    });
    let next = || told.recv_timeout(PATIENCE).expect("a call");
    assert_eq!((next().0, next().0), ("ready", "before_sleep"));

    let mut client = UnixStream::connect(&path).expect("it listens still");
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("ok"), "{answer}");
    drop(client);
    go.send(()).expect("it waits");
    let (call, life) = next();
    assert_eq!((call, life.end), ("called_back", End::Running));

    let (call, flushed) = next();
    assert_eq!((call, flushed.end, flushed.figures.served), ("before_sleep", End::Asleep, 1));
    assert!(flushed.awake_for > life.awake_for, "a later word of a life is of an older one");
    go.send(()).expect("it waits");
    let (call, left) = next();
    assert_eq!((call, left.end, left.figures), ("left", End::Asleep, flushed.figures));
    assert_eq!(engine.join().expect("no panic"), dormouse::Exit::Asleep);
}
