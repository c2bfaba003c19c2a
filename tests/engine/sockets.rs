//! Which sockets are taken, and which refused.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Client, Daemon, Gate, PATIENCE, Unit, connect, fixture};

#[test]
fn all_kinds_are_served_under_their_names() {
    let mut unit = Unit::new();
    let v4 = unit.tcp("127.0.0.1:0", "web");
    let v6 = unit.tcp("[::1]:0", "six");
    let path = unit.unix("local");
    let daemon = unit.wake();
    assert_eq!(connect(v4).get("/socket").text(), "web");
    assert_eq!(connect(v6).get("/socket").text(), "six");
    let mut local = Client(UnixStream::connect(&path).expect("it listens"));
    assert_eq!(local.get("/socket").text(), "local");
    assert_eq!(local.get("/peer").text(), format!("unix pid {}", std::process::id()));
    drop(local);
    daemon.asleep();
}

#[test]
fn several_sockets_may_share_a_name() {
    let mut unit = Unit::new();
    let addresses = [unit.tcp("127.0.0.1:0", "web"), unit.tcp("127.0.0.1:0", "web")];
    let daemon = unit.wake();
    for address in addresses {
        assert_eq!(connect(address).get("/socket").text(), "web");
    }
    daemon.asleep();
}

#[test]
fn a_datagram_is_read_dropped_and_told_once() {
    let mut unit = Unit::new();
    let address = unit.udp("stats");
    let web = unit.tcp("127.0.0.1:0", "web");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..3 {
        sender.send_to(b"hits:1|c", address).expect("sent");
    }
    let daemon = unit.wake();
    assert_eq!(connect(web).get("/").text(), "ok");
    let log = daemon.asleep();
    assert_eq!(log.matches("was read and dropped").count(), 1, "{log}");
    assert!(log.contains("3 datagrams dropped"), "{log}");
    // Nothing is left that would start it again: the next wake sees none.
    let log = unit.wake().asleep();
    assert!(!log.contains("datagram"), "{log}");
}

#[test]
fn nothing_of_systemds_is_left_in_the_environment() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let environment = connect(web).get("/environment");
    assert!(!environment.text().contains("LISTEN_"), "{}", environment.text());
    daemon.asleep();
}

#[test]
fn a_connection_instead_of_a_listener_is_refused() {
    let mut unit = Unit::new();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    unit.pass(theirs, "accepted");
    let (status, log) = unit.start().left();
    assert!(!status.success());
    assert!(log.contains("accepted") && log.contains("Accept=yes"), "{log}");
    drop(ours);
}

#[test]
fn something_that_is_no_socket_is_refused() {
    let mut unit = Unit::new();
    unit.pass(std::fs::File::open("/dev/null").expect("it is there"), "null");
    let (status, log) = unit.start().left();
    assert!(!status.success());
    assert!(log.contains("not a socket"), "{log}");
}

#[test]
fn sockets_meant_for_another_process_are_refused() {
    let mut command = Command::new(fixture());
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stderr(Stdio::piped());
    let output = command.output().expect("it runs");
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("LISTEN_PID") && log.contains("another process"), "{log}");
}

#[test]
fn a_peer_without_power_is_noticed() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    assert_eq!(client.get("/").text(), "ok");
    // proc_net_tcp: ours is the local address, 01 is established, 02 a keepalive timer, in hundredths of a second.
    let table = std::fs::read_to_string("/proc/net/tcp").expect("it is there");
    let ours = format!("0100007F:{:04X}", web.port());
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row =
        rows.into_iter().find(|row| row[1] == ours && row[3] == "01").expect("an established connection");
    let (kind, left) = row[5].split_once(':').expect("a timer");
    let left = u64::from_str_radix(left, 16).expect("a time");
    assert!(kind == "02" && (1..=6_000).contains(&left), "timer {}", row[5]);
    drop(client);
    daemon.asleep();
}

#[test]
fn activity_on_one_socket_keeps_all_awake() {
    let mut unit = Unit::new().set("AFTER", 1).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let path = unit.unix("local");
    let gate = Gate::new(&unit.folder, "gate");
    let mut local = Client(UnixStream::connect(&path).expect("it listens"));
    local.ask(&format!("/gate?{}", gate.query()));
    let mut daemon = unit.wake();
    let waiting = gate.arrived();
    daemon.hear("STATUS=awake: 1 request");
    assert_eq!(connect(web).get("/socket").text(), "web");
    waiting.open();
    assert_eq!(local.answer().text(), "passed");
    let log = daemon.asleep();
    assert!(log.contains("served 2 requests"), "{log}");
}

#[test]
fn a_blocking_socket_is_made_non_blocking() {
    let mut unit = Unit::new();
    let web = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = web.local_addr().expect("bound");
    unit.pass(web.try_clone().expect("a descriptor"), "web");
    let is_non_blocking =
        || rustix::fs::fcntl_getfl(&web).expect("its flags").contains(rustix::fs::OFlags::NONBLOCK);
    assert!(!is_non_blocking(), "as systemd may pass it");
    let daemon = unit.wake();
    assert!(is_non_blocking(), "the flag is shared");
    assert_eq!(connect(address).get("/").text(), "ok");
    daemon.asleep();
}

#[test]
fn systemds_sockets_are_as_before_after_sleep_and_stop() {
    use std::os::unix::fs::MetadataExt;
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let path = unit.unix("local");
    let inode = |path| std::fs::metadata(path).expect("it is there").ino();
    let before = inode(&path);
    for round in 0..4 {
        let mut tcp = connect(web);
        let mut local = Client(UnixStream::connect(&path).expect("it listens"));
        tcp.ask("/socket");
        local.ask("/socket");
        let daemon = unit.start();
        assert_eq!((tcp.answer().text(), local.answer().text()), ("web", "local"));
        if round % 2 == 1 {
            daemon.signal(libc::SIGTERM);
        }
        drop((tcp, local));
        daemon.asleep();
        assert_eq!(inode(&path), before, "unlinked and bound anew");
    }
}

#[test]
fn a_queue_that_is_full_while_it_sleeps_is_served() {
    // Two waiting connections fill a backlog of 1 (listen(2)): the kernel lets the others wait in connect(), or has
    // them repeat what it dropped.
    let mut unit = Unit::new();
    let web = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = web.local_addr().expect("bound");
    let path = unit.folder.join("local.sock");
    let local = UnixListener::bind(&path).expect("a fresh path");
    for listener in [web.as_fd(), local.as_fd()] {
        rustix::net::listen(listener, 1).expect("a smaller backlog");
    }
    unit.pass(web.try_clone().expect("a descriptor"), "web");
    unit.pass(local.try_clone().expect("a descriptor"), "local");
    let asking: Vec<_> = (0..8)
        .map(|number| {
            let path = path.clone();
            std::thread::spawn(move || {
                if number % 2 == 0 {
                    return connect(address).get("/socket").text().to_owned();
                }
                let mut local = Client(UnixStream::connect(path).expect("it waits its turn"));
                local.get("/socket").text().to_owned()
            })
        })
        .collect();
    // Full: one that does not wait is told so (unix(7)), and TCP's says nothing.
    let patience = Instant::now() + PATIENCE;
    let would_block = || {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::NONBLOCK,
            None,
        );
        let to = rustix::net::SocketAddrUnix::new(&path).expect("short");
        rustix::net::connect(socket.expect("a socket"), &to) == Err(rustix::io::Errno::AGAIN)
    };
    while !would_block() {
        assert!(Instant::now() < patience, "the queue does not fill");
    }
    let mut answers = Vec::new();
    let mut daemons = Vec::new();
    for asking in asking {
        while !asking.is_finished() {
            // As systemd does: started whenever somebody waits, and it may fall asleep between two repetitions.
            if daemons.last_mut().is_none_or(|daemon: &mut Daemon| !daemon.is_running()) {
                daemons.push(unit.start());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        answers.push(asking.join().expect("an answer"));
    }
    assert_eq!(answers.iter().filter(|answer| *answer == "web").count(), 4);
    assert_eq!(answers.iter().filter(|answer| *answer == "local").count(), 4);
}

#[test]
fn a_panic_of_the_task_that_accepts_ends_the_process() {
    let unit = Unit::new().set("MIN_AWAKE", 0).set("AFTER", 1);
    let (reload, flush) = (Gate::new(&unit.folder, "reload"), Gate::new(&unit.folder, "flush"));
    let mut unit = unit.gate("RELOAD_GATE", &reload).gate("FLUSH_GATE", &flush);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let _flushing = flush.arrived(); // a thread that never ends by itself must not keep it either
    daemon.signal(libc::SIGHUP);
    reload.arrived().say("panic");
    let (status, log) = daemon.left();
    assert!(!status.success(), "{log}");
    assert!(log.contains("as asked"), "{log}");
    let mut client = connect(web);
    client.ask("/");
    let _next = unit.start();
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn without_inherited_sockets_it_never_sleeps() {
    let unit = Unit::new().set("AFTER", 1).set("MIN_AWAKE", 0);
    let mut daemon = unit.wake();
    assert!(daemon.has_said("never sleeps"), "nobody would wake it");
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert!(status.success() && log.contains("no socket was inherited"), "{log}");
}

#[test]
fn a_systemd_that_reads_nothing_keeps_no_request_waiting() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let _daemon = unit.wake();
    let mut waiting = connect(web);
    waiting.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let _held = gate.arrived(); // so that there is a status to tell
    let flood = UnixDatagram::unbound().expect("a socket");
    flood.set_nonblocking(true).expect("an option");
    while flood.send_to(b"X=1", unit.folder.join("notify")).is_ok() {}
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        assert_eq!(connect(web).get("/").text(), "ok"); // the status is told once a second
    }
}
