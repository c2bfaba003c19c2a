//! The same over HTTP/2, where streams begin, end and are reset apart from each other.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::harness::PATIENCE;
use crate::program::{Fifo, Stage, gone, is_alive, memory, sh};
use crate::site::SLOW;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
}

/// A connection; the task ends it when it is aborted.
async fn client(address: SocketAddr) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (handle, connection) = h2::client::handshake(stream).await.expect("a handshake");
    let running = tokio::spawn(connection);
    (handle.ready().await.expect("open"), running)
}

fn request(method: &str, target: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://site.test{target}")).body(()).expect("a request")
}

/// One body, to its end.
async fn read(body: &mut h2::RecvStream) -> Result<String, h2::Error> {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        text.extend_from_slice(&data);
    }
    Ok(String::from_utf8(text).expect("text"))
}

/// The next line of a fifo, while the connection runs on.
async fn line(fifo: &std::sync::Arc<Fifo>) -> String {
    let fifo = fifo.clone();
    spawn_blocking(move || fifo.line()).await.expect("no panic")
}

#[test]
fn a_body_and_an_answer_pass_as_they_come() {
    let stage = Stage::sh("", "read a; printf \"1$a\"; read b; printf \"2$b $SERVER_PROTOCOL\"");
    let _daemon = stage.wake();
    block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let (answer, mut body) = handle.send_request(request("POST", "/"), false).expect("open");
        body.send_data("a\n".into(), false).expect("open");
        let mut answer = answer.await.expect("before the rest is there").into_body();
        assert_eq!(answer.data().await.expect("some").expect("whole"), "1a");
        body.send_data("b\n".into(), true).expect("open");
        assert_eq!(read(&mut answer).await.expect("it ends in order"), "2b HTTP/2.0");
    });
}

#[test]
fn a_late_failure_resets_the_stream_and_no_other() {
    let routes = sh("/fails", "", "printf part; read x < FOLDER/go; exit 1") + &sh("/", "", "printf whole");
    let stage = Stage::new(SLOW, &routes);
    let go = stage.fifo("go");
    let _daemon = stage.wake();
    block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let (answer, _) = handle.send_request(request("GET", "/fails"), true).expect("open");
        let mut body = answer.await.expect("it has begun").into_body();
        assert_eq!(body.data().await.expect("some").expect("whole"), "part");
        go.say("");
        let error = read(&mut body).await.expect_err("it is cut");
        assert!(error.is_reset(), "{error}");
        let (answer, _) = handle.send_request(request("GET", "/"), true).expect("open");
        let mut body = answer.await.expect("it is answered").into_body();
        assert_eq!(read(&mut body).await.expect("whole"), "whole");
    });
}

#[test]
fn a_stream_that_is_reset_takes_its_program_with_it_and_no_other() {
    let silent = "echo $$ > FOLDER/here; read x < FOLDER/go; printf out";
    let routes = sh("/silent", "", silent)
        + &sh("/prints", "", &format!("printf begun; {silent}"))
        + &sh("/reads", "", "echo $$ > FOLDER/here; exec cat > /dev/null");
    let stage = Stage::new(SLOW, &routes);
    let (here, go) = (std::sync::Arc::new(stage.fifo("here")), stage.fifo("go"));
    let _daemon = stage.wake();
    block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let (other, _) = handle.send_request(request("GET", "/silent"), true).expect("open");
        let stays: i32 = line(&here).await.parse().expect("a pid");
        for (target, ends) in [("/silent", true), ("/prints", true), ("/reads", false)] {
            let (answer, mut stream) = handle.send_request(request("POST", target), ends).expect("open");
            let pid: i32 = line(&here).await.parse().expect("a pid");
            let _body = if target == "/prints" { Some(answer.await.expect("it has begun")) } else { None };
            stream.send_reset(h2::Reason::CANCEL);
            spawn_blocking(move || gone(pid)).await.expect("no panic");
            assert!(is_alive(stays), "{target}");
        }
        go.say("");
        let mut body = other.await.expect("it is answered").into_body();
        assert_eq!(read(&mut body).await.expect("whole"), "out");
    });
}

#[test]
fn a_connection_that_ends_takes_all_programs_with_it() {
    let script = "sleep 1000 & echo $! > FOLDER/here; echo $$ > FOLDER/here; wait";
    let stage =
        Stage::new(SLOW, &(sh("/", "", script) + &sh("/prints", "", &format!("echo begun; {script}"))));
    let here = std::sync::Arc::new(stage.fifo("here"));
    let _daemon = stage.wake();
    for says_goodbye in [true, false] {
        block_on(async {
            let (mut handle, running) = client(stage.site.web).await;
            let mut answers = Vec::new();
            let mut pids: Vec<i32> = Vec::new();
            for target in ["/", "/prints"] {
                answers.push(handle.send_request(request("GET", target), true).expect("open").0);
                for _ in 0..2 {
                    pids.push(line(&here).await.parse().expect("a pid"));
                }
            }
            if says_goodbye {
                // With no stream left, the connection sends GOAWAY and ends.
                drop((handle, answers));
                let _ = running.await;
            } else {
                running.abort();
            }
            spawn_blocking(move || pids.into_iter().for_each(gone)).await.expect("no panic");
        });
    }
}

#[test]
fn one_that_finishes_does_so_when_its_stream_is_reset() {
    let keys = "on_disconnect = \"finish\"";
    let stage = Stage::sh(keys, "echo $$ > FOLDER/here; read x < FOLDER/go; seq 1 100000; touch FOLDER/done");
    let (here, go) = (std::sync::Arc::new(stage.fifo("here")), stage.fifo("go"));
    let _daemon = stage.wake();
    let pid = block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let (_answer, mut stream) = handle.send_request(request("GET", "/"), true).expect("open");
        let pid: i32 = line(&here).await.parse().expect("a pid");
        stream.send_reset(h2::Reason::CANCEL);
        let (other, _) = handle.send_request(request("GET", "/hello"), true).expect("open");
        assert_eq!(other.await.expect("it is answered").status(), 200, "the reset was read before this");
        pid
    });
    assert!(is_alive(pid));
    go.say("");
    gone(pid);
    assert!(stage.path("done").exists());
}

#[test]
fn who_takes_nothing_costs_little() {
    let stage = Stage::sh("", "echo $$ > FOLDER/here; exec yes");
    let here = std::sync::Arc::new(stage.fifo("here"));
    let daemon = stage.wake();
    stage.get("/hello");
    let before = memory(&daemon, "VmHWM");
    let pids = block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let (mut bodies, mut pids) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            let (answer, _) = handle.send_request(request("GET", "/"), true).expect("open");
            pids.push(line(&here).await.parse::<i32>().expect("a pid"));
            bodies.push(answer.await.expect("it has begun").into_body());
        }
        for _ in 0..20 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await; // so that what may come has come
            let (answer, _) = handle.send_request(request("GET", "/hello"), true).expect("open");
            assert_eq!(answer.await.expect("it is answered").status(), 200);
        }
        pids
    });
    pids.into_iter().for_each(gone);
    let grown = memory(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more for ten");
}

#[test]
fn streams_wait_in_line_like_connections() {
    let keys = "at_once = 1\nqueue = 2";
    let stage = Stage::sh(keys, "echo $QUERY_STRING > FOLDER/here; read x < FOLDER/go; printf $QUERY_STRING");
    let (here, go) = (std::sync::Arc::new(stage.fifo("here")), stage.fifo("go"));
    let _daemon = stage.wake();
    block_on(async {
        let (mut handle, _running) = client(stage.site.web).await;
        let mut answers = Vec::new();
        for number in 0..4 {
            let target = format!("/?{number}");
            answers.push(handle.send_request(request("GET", &target), true).expect("open"));
        }
        let (refused, _) = answers.pop().expect("four");
        let refused = refused.await.expect("it is answered");
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"1".parse().expect("a value"))
        );
        // The third leaves the line, and is never run.
        let (_, mut stream) = answers.pop().expect("three");
        stream.send_reset(h2::Reason::CANCEL);
        for (number, (answer, _)) in answers.into_iter().enumerate() {
            assert_eq!(line(&here).await, number.to_string());
            go.say("");
            let mut body = answer.await.expect("it is answered").into_body();
            assert_eq!(read(&mut body).await.expect("whole"), number.to_string());
        }
        here.is_silent();
    });
}
