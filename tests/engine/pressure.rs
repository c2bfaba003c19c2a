//! Too much of everything: descriptors that run out, floods, clients that hold on. It waits without work, loses nobody,
//! gives memory back and falls asleep afterwards.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

use crate::harness::{Client, Daemon, Gate, Unit, connect, fixture};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Clock ticks on the processor so far; 100 are a second wherever Linux runs.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum()
}

/// Takes away all descriptors it has not got yet; the limit before.
fn take_descriptors(daemon: &Daemon) -> Rlimit {
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs");
    let open: HashSet<u64> =
        open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let next = (0..).find(|fd| !open.contains(fd)).expect("some number");
    // The hard limit stays as it is, and it has ours.
    let limit = Rlimit { current: Some(next), ..rustix::process::getrlimit(Resource::Nofile) };
    rustix::process::prlimit(Pid::from_raw(daemon.pid()), Resource::Nofile, limit).expect("it is ours")
}

fn give_descriptors(daemon: &Daemon, limit: Rlimit) {
    rustix::process::prlimit(Pid::from_raw(daemon.pid()), Resource::Nofile, limit).expect("it is ours");
}

/// Clients whose handlers wait at the gate.
fn busy(web: SocketAddr, gate: &Gate, count: usize) -> Vec<(Client<TcpStream>, crate::harness::AtGate)> {
    let busy = |_| {
        let mut client = connect(web);
        client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: a\r\n\r\n", gate.query()));
        (client, gate.arrived())
    };
    (0..count).map(busy).collect()
}

/// A listener with a queue as long as systemd's.
pub fn long_queue(unit: &mut Unit) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 4096).expect("again, with another backlog");
    let address = listener.local_addr().expect("bound");
    unit.pass(listener, "web");
    address
}

fn asking(web: SocketAddr, count: usize) -> Vec<Client<TcpStream>> {
    let asking = |_| {
        let mut client = connect(web);
        client.send(GET);
        client
    };
    (0..count).map(asking).collect()
}

/// Clients that have had an answer and say nothing more, the longest idle first.
pub fn idle(web: SocketAddr, count: usize) -> Vec<Client<TcpStream>> {
    let idle = |_| {
        let mut client = connect(web);
        assert_eq!(client.get("/").text(), "ok");
        client
    };
    (0..count).map(idle).collect()
}

#[test]
fn without_descriptors_it_waits_and_says_so_once() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut at_work = busy(web, &gate, 3);
    let limit = take_descriptors(&daemon);
    let mut waiting = asking(web, 20);
    let before = ticks(&daemon);
    std::thread::sleep(Duration::from_secs(1)); // what matters is what that costs
    let spent = ticks(&daemon) - before;
    assert!(spent < 20, "{spent} clock ticks in a second of waiting");
    // One leaves: its descriptors serve the others, one or two at a time.
    let (mut client, at_gate) = at_work.pop().expect("three");
    at_gate.open();
    assert_eq!(client.answer().text(), "passed");
    drop(client);
    for client in &mut waiting[..5] {
        assert_eq!(client.answer().text(), "ok");
    }
    give_descriptors(&daemon, limit);
    for client in &mut waiting[5..] {
        assert_eq!(client.answer().text(), "ok");
    }
    for (mut client, at_gate) in at_work {
        at_gate.open();
        assert_eq!(client.answer().text(), "passed");
    }
    drop(waiting);
    let log = daemon.asleep();
    assert_eq!(log.matches("cannot accept").count(), 1, "{log}");
    assert_eq!(log.matches("accepting again").count(), 1, "{log}");
    assert!(log.contains("LimitNOFILE="), "{log}");
}

#[test]
fn without_descriptors_the_longest_idle_makes_room() {
    let mut unit = Unit::new().set("AFTER", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut clients = idle(web, 8);
    take_descriptors(&daemon);
    for _ in 0..2 {
        let mut newcomer = connect(web);
        assert_eq!(newcomer.get("/").text(), "ok");
        assert_eq!(clients.remove(0).rest(), "", "the longest idle is closed, not reset");
        clients.push(newcomer);
    }
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok", "the others stay");
    }
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("cannot accept").count(), 1, "{log}");
}

#[test]
fn when_all_places_are_taken_the_longest_idle_makes_room() {
    let mut unit = Unit::new().set("CONNECTIONS", 4);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut clients = idle(web, 4);
    daemon.hear("STATUS=quiet since");
    assert_eq!(clients[0].get("/").text(), "ok", "nobody waits, nobody leaves");
    let mut newcomer = connect(web);
    assert_eq!(newcomer.get("/").text(), "ok");
    assert_eq!(clients.remove(1).rest(), "", "it was the longest idle");
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    drop((clients, newcomer));
    let log = daemon.asleep();
    assert_eq!(log.matches("all 4 places for connections are taken").count(), 1, "{log}");
    assert_eq!(log.matches("accepting again").count(), 1, "{log}");
}

#[test]
fn an_idle_http2_connection_makes_room_with_a_goodbye() {
    let mut unit = Unit::new().set("CONNECTIONS", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut newcomer, connection) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(web).await.expect("it listens");
        let (mut handle, connection) = h2::client::handshake(stream).await.expect("a handshake");
        let connection = tokio::spawn(connection);
        let request = hyper::Request::get("http://test/").body(()).expect("a request");
        let (answer, _) = handle.send_request(request, true).expect("sent");
        answer.await.expect("served").into_body().data().await.expect("a body").expect("whole");
        (asking(web, 1).remove(0), connection)
    });
    runtime.block_on(connection).expect("no panic").expect("a clean end");
    assert_eq!(newcomer.answer().text(), "ok");
    drop(newcomer);
    daemon.asleep();
}

#[test]
fn when_nobody_is_idle_newcomers_wait() {
    let mut unit = Unit::new().set("CONNECTIONS", 3);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut at_work = busy(web, &gate, 3);
    let mut waiting = asking(web, 6);
    let before = ticks(&daemon);
    std::thread::sleep(Duration::from_millis(500));
    let spent = ticks(&daemon) - before;
    assert!(spent < 10, "{spent} clock ticks in half a second of waiting");
    let (mut client, at_gate) = at_work.pop().expect("three");
    at_gate.open();
    assert_eq!(client.answer().text(), "passed");
    // It stays connected, but idle: its place goes from one newcomer to the next, as each of them is idle in turn.
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "ok");
    }
    assert_eq!(client.rest(), "");
    for (mut client, at_gate) in at_work {
        at_gate.open();
        assert_eq!(client.answer().text(), "passed");
    }
    drop(waiting);
    daemon.asleep();
}

#[test]
fn the_open_files_limit_is_raised_as_far_as_it_goes() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let script = unit.folder.join("limited");
    let text = format!("#!/bin/sh\nulimit -Sn 100 && ulimit -Hn 300 && exec {}\n", fixture().display());
    std::fs::write(&script, text).expect("a file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let mut daemon = unit.start_program(&script);
    daemon.hear("READY=1");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it runs");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[3..5], ["300", "300"]);
    // More than the soft limit was, and fewer than there are descriptors: half of so small a limit is for connections.
    let clients = idle(web, 140);
    drop(clients);
    let log = daemon.asleep();
    assert!(!log.contains("cannot accept") && !log.contains("places"), "{log}");
}

#[test]
fn a_connection_gone_before_it_is_accepted_is_no_activity() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 100);
    let web = unit.tcp("127.0.0.1:0", "web");
    for _ in 0..3 {
        let gone = TcpStream::connect(web).expect("it listens");
        rustix::net::sockopt::set_socket_linger(&gone, Some(Duration::ZERO)).expect("an option");
    }
    let log = unit.wake().asleep(); // 100 ms after it was ready, not a minute after they came
    assert!(log.contains("served 0 requests, 3 not counted"), "{log}");
}

#[test]
fn a_burst_at_the_sleep_edge_is_answered_by_this_process_or_the_next() {
    const BURST: usize = 200;
    let mut unit = Unit::new().set("AFTER", 30).set("MIN_AWAKE", 0).set("GRACE", 20);
    let web = long_queue(&mut unit);
    let (mut by_this, mut by_next) = (0, 0);
    for round in 0..10 {
        let mut first = connect(web);
        first.send(GET);
        let mut daemon = unit.start();
        assert_eq!(first.answer().text(), "ok");
        drop(first);
        if round % 2 == 0 {
            daemon.hear("STOPPING=1"); // it has committed: all of them are for the next
        } else {
            std::thread::sleep(Duration::from_millis(20 + round));
        }
        let mut burst = asking(web, BURST);
        // As systemd does: another process as soon as this one is gone, while somebody waits.
        daemon.asleep();
        burst.retain_mut(|client| match has_come(&mut client.0) {
            true => {
                assert_eq!(client.answer().text(), "ok");
                by_this += 1;
                false
            }
            false => true,
        });
        while !burst.is_empty() {
            let next = unit.start();
            by_next += 1;
            for client in &mut burst {
                assert_eq!(client.answer().text(), "ok");
            }
            burst.clear();
            next.asleep();
        }
    }
    assert!(by_this > 0 && by_next > 0, "the bursts did not meet the edge: {by_this}, {by_next}");
}

fn has_come(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("an option");
    let has_come = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).expect("an option");
    has_come
}
