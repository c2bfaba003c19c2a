//! Much of everything: clients that leave by the hundred, gigabytes, readers that are slow.

use std::io::{Read, Write};

use crate::harness::{Client, reset};
use crate::program::{Stage, children, descriptors, gone, is_alive, memory, sh, until, until_held_back};
use crate::site::SLOW;

/// A gigabyte where all tests are wanted.
fn mebibytes() -> u64 {
    if std::env::var_os("DORMOUSE_ALL").is_some() { 1024 } else { 256 }
}

/// What the daemon may need more than before, in KiB, whatever passes through it.
const FLAT: u64 = 8 * 1024;

#[test]
fn three_hundred_clients_that_leave_leave_nothing_behind() {
    let script = "sleep 1000 & echo $! > FOLDER/here; echo $$ > FOLDER/here; $HTTP_X_DO; wait";
    let stage = Stage::new(SLOW, &(sh("/", "at_once = 20\nqueue = 300", script)));
    let here = stage.fifo("here");
    let daemon = stage.wake();
    let before = descriptors(daemon.pid());
    let mut pids = Vec::new();
    for round in 0..15 {
        let mut clients: Vec<Client<_>> = (0..20).map(|_| stage.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let (work, body) = [("wait", ""), ("yes", ""), ("cat", "part")][number % 3];
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nX-Do: {work}\r\n\r\n{body}"
            ));
        }
        // Some leave while they wait in line, some before they have run, and some after.
        for _ in 0..2 * (round % 3) * 5 {
            pids.push(here.pid());
        }
        clients.into_iter().enumerate().for_each(|(number, client)| match number % 2 {
            0 => reset(client.0),
            _ => drop(client),
        });
        assert_eq!(stage.get("/hello").text(), "hello", "all of them have been accepted");
        until(|| stage.is_quiet() && children(daemon.pid()).is_empty(), || "something is left".to_owned());
        while let Some(pid) = here.waiting() {
            pids.push(pid);
        }
    }
    assert!(pids.len() > 100, "{}", pids.len());
    pids.into_iter().for_each(gone);
    until(|| descriptors(daemon.pid()) <= before, || "descriptors are left".to_owned());
    assert!(stage.commands().is_empty());
    let mut client = stage.client();
    client.ask("/");
    let pids = [here.pid(), here.pid()];
    assert!(pids.into_iter().all(is_alive), "and it goes on");
    drop(client);
    pids.into_iter().for_each(gone);
}

#[test]
fn a_gigabyte_passes_through_as_it_comes() {
    let count = mebibytes();
    let stage = Stage::sh("", &format!("exec dd if=/dev/zero bs=1M count={count} 2> /dev/null"));
    let daemon = stage.wake();
    stage.get("/hello");
    let before = memory(&daemon, "VmHWM");
    let mut client = stage.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    client.head();
    let length = std::io::copy(&mut client.0, &mut std::io::sink()).expect("an end, not a reset");
    assert_eq!(length, count << 20);
    let grown = memory(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < FLAT, "{grown} KiB more");
}

#[test]
fn a_slow_reader_holds_back_its_program_and_nobody_else() {
    let stage = Stage::new(
        SLOW,
        &(sh("/", "", "echo $$ > FOLDER/here; exec yes")
            + &sh("/sse", "stream = \"sse\"", "echo $$ > FOLDER/here; exec yes")),
    );
    let here = stage.fifo("here");
    let daemon = stage.wake();
    stage.get("/hello");
    let before = memory(&daemon, "VmHWM");
    let mut pids = Vec::new();
    let mut clients: Vec<_> = (0..10).map(|_| stage.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.ask(if number % 2 == 0 { "/" } else { "/sse" });
        pids.push(here.pid());
    }
    for _ in 0..5 {
        until_held_back(&pids);
        assert_eq!(stage.get("/hello").text(), "hello");
    }
    let grown = memory(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 2 * FLAT, "{grown} KiB more for ten");
    drop(clients);
    pids.into_iter().for_each(gone);
}

#[test]
fn an_upload_passes_through_as_it_comes() {
    let stage = Stage::sh("", "sleep 0.2; exec cksum");
    let daemon = stage.wake();
    stage.get("/hello");
    let before = memory(&daemon, "VmHWM");
    let mut client = stage.client();
    let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        client.send(b"100000\r\n");
        client.send(&piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    let answer = client.answer();
    let mut sum = std::process::Command::new("cksum");
    let mut sum =
        sum.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("cksum");
    let mut stdin = sum.stdin.take().expect("piped");
    (0..100).for_each(|_| stdin.write_all(&piece).expect("it reads"));
    drop(stdin);
    let mut expected = String::new();
    sum.stdout.take().expect("piped").read_to_string(&mut expected).expect("text");
    sum.wait().expect("a child");
    assert_eq!(answer.text(), expected);
    let grown = memory(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < FLAT, "{grown} KiB more");
}

#[test]
fn what_waits_in_line_has_only_its_body_with_it() {
    const WAIT: usize = 20;
    let script = "echo > FOLDER/here; read x < FOLDER/go";
    let run = format!("run = [\"/bin/sh\", \"-c\", \"{script}\", \"sh\", \"{{json.a}}\"]");
    let route = format!("[[route]]\npath = \"/\"\n{run}\nat_once = 1\n");
    let stage = Stage::new(SLOW, &route);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let daemon = stage.wake();
    // As JSON in memory it is many times as large.
    let body = format!("{{\"a\":\"b\",\"l\":[{}0]}}", "0,".repeat(400_000));
    let mut clients: Vec<_> = (0..=WAIT).map(|_| stage.client()).collect();
    clients[0].post("/", "Content-Type: application/json\r\n", "{\"a\":\"b\"}");
    here.line();
    let before = memory(&daemon, "VmRSS");
    for client in &mut clients[1..] {
        client.post("/", "Content-Type: application/json\r\n", &body);
        assert_eq!(stage.get("/hello").text(), "hello", "it is in line");
    }
    let more = memory(&daemon, "VmRSS").saturating_sub(before);
    let bodies = (WAIT * body.len() / 1024) as u64;
    assert!(more < 3 * bodies, "{more} KiB for {bodies} KiB of bodies");
    clients.truncate(1);
    go.say("");
    assert_eq!(clients[0].answer().status(), 200);
}
