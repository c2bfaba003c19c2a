//! Requests that wait quietly (long polls): slept over, answered at the edge, and held for again when something comes.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{AtGate, Client, Gate, Unit, connect, reset};
use crate::instant::Dice;
use crate::{http2, wire};

/// A program and a gate for those who wait.
struct Scene {
    unit: Unit,
    web: SocketAddr,
    gate: Arc<Gate>,
}

impl Scene {
    fn new(set: impl FnOnce(Unit) -> Unit) -> Self {
        Self::of(set(Unit::new()))
    }

    fn of(mut unit: Unit) -> Self {
        let web = unit.tcp("127.0.0.1:0", "web");
        let gate = Arc::new(Gate::new(&unit.folder, "gate"));
        Self { unit, web, gate }
    }

    fn target(&self, more: &str) -> String {
        format!("/poll?{}{more}", self.gate.query())
    }

    /// A client whose request waits.
    fn wait(&self, more: &str) -> (Client<TcpStream>, AtGate) {
        let mut client = connect(self.web);
        client.ask(&self.target(more));
        (client, self.gate.arrived())
    }

    /// In how many microseconds it falls asleep.
    fn asleep_in(&self) -> u128 {
        let counters = connect(self.web).get("/counters");
        let value =
            counters.text().lines().find_map(|line| line.strip_prefix("asleep_in ")).expect("a figure");
        value.parse().expect("a number")
    }
}

/// The head of an answer that says there is nothing.
fn is_nothing(client: &mut Client<TcpStream>) {
    let answer = client.answer();
    assert_eq!((answer.status(), answer.header("connection")), (204, Some("close")), "{}", answer.head);
    assert_eq!(client.rest(), "", "a clean end");
}

#[test]
fn it_falls_asleep_over_one_that_waits_and_answers_it() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let mut daemon = scene.unit.wake();
    let (mut client, mut waiting) = scene.wait("");
    let status = daemon.hear("(1 waiting request)");
    assert!(status.contains("STATUS=quiet since"), "{status}");
    is_nothing(&mut client);
    assert_eq!(waiting.line(), "", "nobody waits any more");
    let story = daemon.asleep();
    assert!(story.contains("served 0 requests, 1 not counted"), "{story}");
}

#[test]
fn the_same_over_http2() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let mut daemon = scene.unit.wake();
    http2::block_on(async {
        let (handle, connection) = http2::connect(scene.web).await;
        let connection = tokio::spawn(connection);
        let target = scene.target("");
        let answer = tokio::spawn(async move { http2::ask(&handle, &target).await });
        let _waiting = scene.gate.arrived_async().await;
        assert!(daemon.hear("(1 waiting request)").contains("STATUS=quiet since"));
        assert_eq!(answer.await.expect("no panic").expect("answered"), (204, String::new()));
        connection.await.expect("no panic").expect("a clean end");
    });
    let story = daemon.asleep();
    assert!(story.contains("served 0 requests, 1 not counted"), "{story}");
}

#[test]
fn one_that_something_comes_for_is_held_for_to_its_end() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let then = Gate::new(&scene.unit.folder, "then");
    let mut daemon = scene.unit.wake();
    let (mut client, mut waiting) = scene.wait(&format!("&then={}", then.query().replace("gate=", "")));
    assert_eq!(waiting.offer("a job"), "taken");
    let answering = then.arrived();
    daemon.hear("STATUS=awake: 1 request");
    answering.open();
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (200, "a job\n"));
    let story = daemon.asleep();
    assert!(story.contains("served 1 request") && !story.contains("not counted"), "{story}");
}

#[test]
fn http2_ones_wait_beside_others_and_are_held_for_once_something_comes() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let then = Arc::new(Gate::new(&scene.unit.folder, "then"));
    let mut daemon = scene.unit.wake();
    http2::block_on(async {
        let (handle, connection) = http2::connect(scene.web).await;
        let connection = tokio::spawn(connection);
        let ask = |target: String| {
            let handle = handle.clone();
            tokio::spawn(async move { http2::ask(&handle, &target).await.expect("answered") })
        };
        let held = ask(format!("/gate?{}", then.query()));
        let holding = then.arrived_async().await;
        let given = ask(scene.target(&format!("&then={}", then.query().replace("gate=", ""))));
        let mut waiting = scene.gate.arrived_async().await;
        let in_vain = ask(scene.target(""));
        let _waiting_on = scene.gate.arrived_async().await;
        daemon.hear("STATUS=awake: 1 request, 2 waiting requests");
        assert_eq!(waiting.offer("a job"), "taken");
        let answering = then.arrived_async().await;
        holding.open();
        assert_eq!(held.await.expect("no panic").1, "passed");
        daemon.hear("STATUS=awake: 1 request, 1 waiting request");
        assert!(!in_vain.is_finished(), "something is held for still");
        answering.open();
        assert_eq!(given.await.expect("no panic"), (200, "a job\n".to_owned()));
        assert_eq!(in_vain.await.expect("no panic"), (204, String::new()));
        drop(handle);
        connection.await.expect("no panic").expect("a clean end");
    });
    let story = daemon.asleep();
    assert!(story.contains("served 2 requests, 1 not counted"), "{story}");
}

#[test]
fn only_one_that_something_came_for_restarts_the_clock() {
    let scene = Scene::new(|unit| unit.set("AFTER", 60_000).set("MIN_AWAKE", 1));
    let _daemon = scene.unit.wake();
    connect(scene.web).get("/");
    for (policy, word, restarts) in
        [("true", None, false), ("false", Some("job"), false), ("true", Some("job"), true)]
    {
        let (mut client, mut waiting) = scene.wait(&format!("&policy={policy}"));
        let before = scene.asleep_in();
        if let Some(word) = word {
            assert_eq!(waiting.offer(word), "taken");
        } else {
            drop(waiting);
        }
        assert_eq!(client.answer().status(), if word.is_some() { 200 } else { 204 });
        assert_eq!(scene.asleep_in() > before, restarts, "{policy} {word:?}");
        assert_eq!(client.get("/noise").text(), "noise", "the connection stays");
    }
}

#[test]
fn a_request_sent_ahead_behind_one_that_waits_is_answered() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let daemon = scene.unit.wake();
    let (mut client, _waiting) = scene.wait("");
    client.ask("/");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.header("connection")), (204, None), "{}", answer.head);
    assert_eq!(client.answer().text(), "ok");
    daemon.asleep();
}

#[test]
fn a_drain_asks_those_that_wait_to_end() {
    let scene = Scene::new(|unit| unit.set("MIN_AWAKE", 60_000));
    let daemon = scene.unit.wake();
    let (mut client, _waiting) = scene.wait("");
    let (handle, http2_client) = {
        let (web, target, gate) = (scene.web, scene.target(""), scene.gate.clone());
        let (asked, handle) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || {
            http2::block_on(async {
                let (handle, connection) = http2::connect(web).await;
                let connection = tokio::spawn(connection);
                let answer = tokio::spawn(async move { http2::ask(&handle, &target).await });
                asked.send(gate.arrived_async().await).expect("the test waits");
                connection.await.expect("no panic").expect("a clean end");
                answer.await.expect("no panic").expect("answered")
            })
        });
        (handle.recv().expect("it waits"), client)
    };
    daemon.signal(libc::SIGTERM);
    is_nothing(&mut client);
    assert_eq!(http2_client.join().expect("no panic"), (204, String::new()));
    drop((client, handle));
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped: SIGTERM") && !log.contains("cut"), "{log}");
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1).set("MIN_AWAKE", 2000));
    let daemon = scene.unit.wake();
    let (half, mut first) = scene.wait("");
    half.0.shutdown(Shutdown::Write).expect("open");
    let (gone, mut second) = scene.wait("");
    reset(gone.0);
    let mut stream = wire::open(scene.web);
    let head = wire::get(&scene.target(""));
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &head)).expect("taken");
    let mut third = scene.gate.arrived();
    // RST_STREAM (RFC 9113 section 6.4) with CANCEL.
    stream.write_all(&wire::frame(3, 0, 1, &8u32.to_be_bytes())).expect("taken");
    assert_eq!((first.line(), second.line(), third.line()), Default::default());
    let counters = connect(scene.web).get("/counters");
    assert!(counters.text().contains("in_flight 1\n"), "only who asks: {}", counters.text());
    drop((half, stream));
    daemon.asleep();
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1));
    let daemon = scene.unit.wake();
    let (mut client, _waiting) = scene.wait("");
    daemon.asleep();
    is_nothing(&mut client);
}

#[test]
fn nor_one_to_whom_nothing_can_be_written() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1).set("WRITE", 60_000));
    let daemon = scene.unit.wake();
    let mut stream = wire::open(scene.web);
    // SETTINGS_INITIAL_WINDOW_SIZE, and the window of the connection: as large as they can be.
    let window = [&4u16.to_be_bytes()[..], &0x7fff_ffffu32.to_be_bytes()].concat();
    stream.write_all(&wire::frame(wire::SETTINGS, 0, 0, &window)).expect("taken");
    stream.write_all(&wire::frame(8, 0, 0, &0x7fff_0000u32.to_be_bytes())).expect("taken");
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/flood"))).expect("taken");
    stream.write_all(&wire::frame(wire::HEADERS, 5, 3, &wire::get(&scene.target("")))).expect("taken");
    let mut waiting = scene.gate.arrived();
    assert_eq!(waiting.line(), "", "it is asked to end");
    daemon.asleep();
}

#[test]
fn many_are_answered_at_the_edge() {
    let scene = Scene::new(|unit| unit.set("AFTER", 1).set("MIN_AWAKE", 4000));
    let daemon = scene.unit.wake();
    let (mut clients, mut waiting): (Vec<_>, Vec<_>) = (0..200).map(|_| scene.wait("")).unzip();
    http2::block_on(async {
        let (handle, connection) = http2::connect(scene.web).await;
        let connection = tokio::spawn(connection);
        let mut answers = Vec::new();
        for _ in 0..100 {
            let (handle, target) = (handle.clone(), scene.target(""));
            answers.push(tokio::spawn(async move { http2::ask(&handle, &target).await }));
            waiting.push(scene.gate.arrived_async().await);
        }
        for answer in answers {
            assert_eq!(answer.await.expect("no panic").expect("answered"), (204, String::new()));
        }
        connection.await.expect("no panic").expect("a clean end");
    });
    clients.iter_mut().for_each(is_nothing);
    let story = daemon.asleep();
    assert!(story.contains("served 0 requests, 300 not counted"), "{story}");
}

/// What a client got: what came for it, nothing (204), or not even that.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Job,
    Nothing,
    End,
}

/// One that waits, over either protocol.
enum Waiter {
    Http1(Client<TcpStream>),
    Http2(TcpStream),
}

impl Waiter {
    fn new(scene: &Scene, is_http2: bool, more: &str) -> Self {
        let target = scene.target(more);
        if is_http2 {
            let mut stream = wire::open(scene.web);
            stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get(&target))).expect("taken");
            return Self::Http2(stream);
        }
        let mut client = connect(scene.web);
        client.ask(&target);
        Self::Http1(client)
    }

    fn got(self) -> Got {
        match self {
            Self::Http1(mut client) => {
                let mut first = [0];
                if client.0.peek(&mut first).expect("no reset") == 0 {
                    return Got::End;
                }
                let answer = client.answer();
                match answer.status() {
                    200 => assert_eq!(answer.text(), "job\n"),
                    status => assert_eq!(status, 204),
                }
                if answer.status() == 200 { Got::Job } else { Got::Nothing }
            }
            Self::Http2(mut stream) => {
                let head = loop {
                    match wire::next(&mut stream) {
                        Some(frame) if frame.stream == 1 => break frame,
                        Some(_) => {}
                        None => return Got::End,
                    }
                };
                // 200 and 204 in HPACK's static table.
                if head.payload[0] == 0x89 {
                    return Got::Nothing;
                }
                assert_eq!(head.payload[0], 0x88, "{head:?}");
                let body = wire::until(&mut stream, wire::DATA);
                assert_eq!(body.payload, b"job\n");
                Got::Job
            }
        }
    }
}

#[test]
fn what_comes_at_the_real_edge_is_given_out_whole_or_left() {
    let scene = Scene::new(|unit| unit.set("AFTER", 20).set("GRACE", 20).set("MIN_AWAKE", 0));
    let mut dice = Dice(0x0c0f_fee0_0d0d_0a0d);
    let (mut given, mut left) = (0, 0);
    for round in 0..100 {
        // Both are there when it starts, and the first restarts its clock.
        let mut first = connect(scene.web);
        first.ask("/");
        let waiter = Waiter::new(&scene, dice.below(2) == 0, "");
        let daemon = scene.unit.start();
        assert_eq!(first.answer().text(), "ok");
        let mut waiting = scene.gate.arrived();
        std::thread::sleep(Duration::from_micros(10_000 + dice.below(20_000)));
        let is_given = waiting.offer("job") == "taken";
        let got = waiter.got();
        assert_eq!(got, if is_given { Got::Job } else { Got::Nothing }, "round {round}");
        drop(first);
        let story = daemon.asleep();
        let told = if is_given { "served 2 requests" } else { "served 1 request, 1 not counted" };
        assert!(story.contains(told), "round {round}: {story}");
        *if is_given { &mut given } else { &mut left } += 1;
    }
    assert!(given > 0 && left > 0, "the pauses did not meet the edge: {given} given, {left} left");
}

/// Something comes about when the process commits to leave over one that does not listen; what became of it.
fn at_the_commit(seed: u64) -> String {
    let mut dice = Dice(seed);
    let unit = Unit::new();
    let flush = Gate::new(&unit.folder, "flush");
    let scene =
        Scene::of(unit.set("AFTER", 50).set("GRACE", 0).set("MIN_AWAKE", 0).gate("FLUSH_GATE", &flush));
    let policy = if dice.below(2) == 0 { "" } else { "&policy=false" };
    let waiter = Waiter::new(&scene, dice.below(2) == 0, &format!("&stubborn=true{policy}"));
    let daemon = scene.unit.start();
    let mut waiting = scene.gate.arrived();
    let flushing = flush.arrived(); // it has given up on it
    let is_before = dice.below(3) == 0;
    let word = if is_before {
        let word = waiting.offer("job");
        assert_eq!(word, "taken", "nothing is committed");
        flushing.open();
        word
    } else {
        flushing.open();
        std::thread::sleep(Duration::from_micros(dice.below(2_000)));
        waiting.offer("job")
    };
    let got = waiter.got();
    assert_eq!(got == Got::Job, word == "taken", "{got:?} but {word:?}");
    if word == "taken" {
        flush.arrived().open(); // called back, it falls asleep once more
    }
    daemon.asleep();
    word
}

#[test]
fn what_comes_at_the_commit_is_given_out_whole_or_left() {
    // It waits for those who do not listen, 6 s: all at once.
    let rounds: Vec<_> = (1..=32).map(|seed| std::thread::spawn(move || at_the_commit(seed << 20))).collect();
    let words: Vec<_> = rounds.into_iter().map(|round| round.join().expect("it passes")).collect();
    let taken = words.iter().filter(|word| *word == "taken").count();
    assert!(0 < taken && taken < words.len(), "the pauses did not meet the commit: {words:?}");
}
