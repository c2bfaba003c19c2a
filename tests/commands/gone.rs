//! Clients that leave take their program with them, and everything in its process group.

use std::net::{Shutdown, TcpStream};

use crate::harness::{Client, reset};
use crate::program::{Fifo, Stage, gone, is_alive, kill, log, sh, until};
use crate::site::SLOW;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It closes its side and waits.
    Fin,
    /// It closes the connection.
    Close,
    /// It resets the connection.
    Reset,
}

const ALL: [Leaving; 3] = [Leaving::Fin, Leaving::Close, Leaving::Reset];

/// Returns the client if it is still there.
fn leave(client: Client<TcpStream>, how: Leaving) -> Option<Client<TcpStream>> {
    match how {
        Leaving::Fin => {
            client.0.shutdown(Shutdown::Write).expect("it is open");
            return Some(client);
        }
        Leaving::Close => drop(client),
        Leaving::Reset => reset(client.0),
    }
    None
}

/// Children and grandchildren that would stay for long; the ids of all.
const FAMILY: &str = "sleep 1000 & echo $! > FOLDER/here; \
                      sh -c \"sleep 1000 & echo \\$! > FOLDER/here; echo \\$\\$ > FOLDER/here; wait\" & \
                      echo $$ > FOLDER/here; ";

fn family(path: &str, then: &str) -> String {
    sh(path, "", &format!("{FAMILY}{then}"))
}

fn pids(here: &Fifo) -> [i32; 4] {
    std::array::from_fn(|_| here.pid())
}

#[test]
fn one_that_is_silent_ends_with_its_client_and_its_whole_group() {
    let stage = Stage::new(SLOW, &family("/", "wait"));
    let here = stage.fifo("here");
    let daemon = stage.wake();
    for how in ALL {
        let mut client = stage.client();
        client.ask("/");
        let pids = pids(&here);
        assert!(pids.into_iter().all(is_alive), "{how:?}");
        let waiting = leave(client, how);
        pids.into_iter().for_each(gone);
        if let Some(mut client) = waiting {
            let page = client.answer();
            assert_eq!(page.status(), 400);
            assert!(page.text().contains("closed from your side"), "{}", page.text());
        }
    }
    let log = log(daemon);
    assert_eq!(log.matches("run \"/\": is ended: its client has left").count(), 3, "{log}");
}

#[test]
fn one_that_prints_ends_with_its_client() {
    let routes = family("/few", "printf few; wait") + &family("/many", "exec yes");
    let stage = Stage::new(SLOW, &routes);
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    for target in ["/few", "/many"] {
        for how in ALL {
            let mut client = stage.client();
            client.ask(target);
            let pids = pids(&here);
            client.head();
            let _waiting = leave(client, how); // it reads nothing of the rest
            pids.into_iter().for_each(gone);
        }
    }
}

#[test]
fn one_that_reads_ends_with_its_client() {
    let routes = [
        family("/reads", "cat > /dev/null; touch FOLDER/whole; wait"),
        // More than the pipe takes, of which nothing is read.
        family("/waits", "wait"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    for (target, sent) in [("/reads", 4), ("/waits", 100_000), ("/waits", 200_000)] {
        for how in ALL {
            let mut client = stage.client();
            client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"));
            client.send(vec![0; sent]);
            let pids = pids(&here);
            let _waiting = leave(client, how);
            pids.into_iter().for_each(gone);
        }
    }
    assert!(!stage.path("whole").exists());
}

#[test]
fn one_that_ignores_sigterm_is_killed() {
    // The shell's child inherits that it is ignored.
    let script = "trap \"\" TERM; sleep 1000 & echo $! > FOLDER/here; echo $$ > FOLDER/here; wait; wait";
    let routes = sh("/", "", script)
        + &sh(
            "/listens",
            "",
            "trap \"echo term > FOLDER/here; exit 0\" TERM; echo $$ > FOLDER/here; sleep 1000 & wait",
        );
    let stage = Stage::new(SLOW, &routes);
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let pids = [here.pid(), here.pid()];
    drop(client);
    let mut client = stage.client();
    client.ask("/listens");
    let listens = here.pid();
    drop(client);
    assert_eq!(here.line(), "term", "it is asked first");
    gone(listens);
    assert!(pids.into_iter().all(is_alive), "it has five seconds");
    pids.into_iter().for_each(gone);
}

#[test]
fn everybody_has_the_time_to_put_things_in_order() {
    // The shell that leads dies at once; whoever tidies up prints more than a pipe takes.
    let tidies = "trap 'seq 1 100000; seq 1 1000 >&2; touch FOLDER/tidy; exit 0' TERM; echo > FOLDER/here; \
                  while :; do sleep 0.01; done";
    let script = format!("sh -c \"{tidies}\" & wait");
    let routes = sh("/", "", &script)
        + &sh("/prints", "", &format!("echo begun; {script}"))
        + &sh("/sse", "stream = \"sse\"", &script)
        + &sh("/whole", "stream = false\ntimeouts = { request = \"300ms\" }", &script);
    let stage = Stage::new(SLOW, &routes);
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    for target in ["/", "/prints", "/sse", "/whole"] {
        for how in ALL {
            let mut client = stage.client();
            client.ask(target);
            here.line();
            match target {
                "/whole" => assert_eq!(client.answer().status(), 504),
                "/prints" => _ = client.head(),
                _ => {}
            }
            let _waiting = leave(client, how);
            until(|| stage.path("tidy").exists(), || format!("nothing was put in order: {target} {how:?}"));
            std::fs::remove_file(stage.path("tidy")).expect("it was there");
        }
    }
}

#[test]
fn one_that_is_stopped_ends_too() {
    let stage = Stage::sh("", "echo $$ > FOLDER/here; kill -STOP $$");
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let pid = here.pid();
    drop(client);
    gone(pid);
}

#[test]
fn who_leaves_the_group_is_left_alone() {
    // It is systemd's then, which ends it with the service.
    let leaves = "setsid sh -c 'echo $$ > FOLDER/left; exec sleep 1000' & echo $$ > FOLDER/here; wait";
    let stage = Stage::sh("", leaves);
    let (here, left) = (stage.fifo("here"), stage.fifo("left"));
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let (leader, left) = (here.pid(), left.pid());
    drop(client);
    gone(leader);
    assert!(is_alive(left));
    kill(left);
}

#[test]
fn a_client_that_leaves_after_its_answer_ends_nothing() {
    let stage = Stage::new(SLOW, &sh("/", "", "printf out; sleep 0.1; touch FOLDER/done"));
    let _daemon = stage.wake();
    assert_eq!(stage.get("/").text(), "out");
    assert!(stage.path("done").exists());
}
