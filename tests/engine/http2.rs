//! HTTP/2 with prior knowledge: its own client, so that GOAWAY and PING are seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use hyper::Request;
use tokio::net::TcpStream;

use crate::harness::{Gate, Unit};

pub type Handle = SendRequest<Bytes>;

pub async fn connect(address: SocketAddr) -> (Handle, Connection<TcpStream, Bytes>) {
    let stream = TcpStream::connect(address).await.expect("it listens");
    h2::client::handshake(stream).await.expect("a handshake")
}

pub async fn get(handle: &Handle, target: &str) -> Result<String, h2::Error> {
    Ok(ask(handle, target).await?.1)
}

/// The status too.
pub async fn ask(handle: &Handle, target: &str) -> Result<(u16, String), h2::Error> {
    let request = Request::get(format!("http://test{target}")).body(()).expect("a request");
    let (answer, _) = handle.clone().ready().await?.send_request(request, true)?;
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        text.extend_from_slice(&data);
    }
    Ok((status, String::from_utf8(text).expect("text")))
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// One request on a connection of its own, which then ends without an error; in a thread, for tests that wait too.
fn get_to_the_end(address: SocketAddr, target: String) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        block_on(async {
            let (handle, connection) = connect(address).await;
            let connection = tokio::spawn(connection);
            let answer = get(&handle, &target).await.expect("served");
            connection.await.expect("no panic").expect("a clean end");
            answer
        })
    })
}

#[test]
fn streams_are_served_and_an_idle_connection_is_sent_off() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    block_on(async {
        let (handle, connection) = connect(web).await;
        let connection = tokio::spawn(connection);
        let (a, b, c) = tokio::join!(get(&handle, "/"), get(&handle, "/big/300000"), get(&handle, "/noise"));
        assert_eq!((a.expect("served").as_str(), b.expect("served").len()), ("ok", 300_000));
        assert_eq!(c.expect("served"), "noise");
        // GOAWAY, our PING's answer, final GOAWAY, end: no error.
        connection.await.expect("no panic").expect("a clean end");
    });
    daemon.asleep();
}

#[test]
fn an_open_stream_holds() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let client = get_to_the_end(web, format!("/gate?{}", gate.query()));
    let waiting = gate.arrived();
    daemon.hear("STATUS=awake: 1 request");
    assert!(daemon.is_running());
    waiting.open();
    assert_eq!(client.join().expect("no panic"), "passed");
    daemon.asleep();
}

#[test]
fn a_drain_finishes_streams() {
    let mut unit = Unit::new().set("AFTER", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let client = get_to_the_end(web, format!("/gate?{}", gate.query()));
    let waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    waiting.open();
    assert_eq!(client.join().expect("no panic"), "passed");
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn a_reset_stream_drops_its_handler_and_lets_go() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let target = format!("http://test/gate?{}", gate.query());
    let (reset, wait) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        block_on(async {
            let (mut handle, connection) = connect(web).await;
            tokio::spawn(connection);
            let (answer, mut stream) =
                handle.send_request(Request::get(target).body(()).expect("a request"), true).expect("sent");
            tokio::task::spawn_blocking(move || wait.recv()).await.expect("no panic").expect("told");
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
            tokio::time::timeout(Duration::from_secs(20), std::future::pending::<()>()).await.ok();
        });
    });
    let mut waiting = gate.arrived();
    reset.send(()).expect("it waits");
    assert_eq!(waiting.line(), "");
    daemon.asleep();
    drop(client); // it ends with the test process
}

#[test]
fn a_peer_that_answers_no_ping_does_not_keep_it() {
    use std::io::Write;
    let mut unit = Unit::new().set("AFTER", 100);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut mute = std::net::TcpStream::connect(web).expect("it listens");
    mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("taken");
    daemon.asleep(); // 5 s after GOAWAY
}

#[test]
fn half_a_preface_is_not_waited_for_long() {
    use std::io::Write;
    let mut unit = Unit::new().set("HEAD", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut half = std::net::TcpStream::connect(web).expect("it listens");
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM").expect("taken");
    daemon.asleep();
}

#[test]
fn a_panic_is_a_500_with_an_id_here_too() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    block_on(async {
        let (handle, connection) = connect(web).await;
        tokio::spawn(connection);
        let page = get(&handle, "/panic").await.expect("an answer");
        assert!(page.starts_with("500 Internal Server Error\nid "), "{page}");
    });
    daemon.asleep();
}

#[test]
fn a_body_that_the_handler_leaves_unread_is_not_waited_for() {
    let mut unit = Unit::new().set("BODY", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Arc::new(Gate::new(&unit.folder, "gate"));
    let daemon = unit.wake();
    block_on(async {
        let (handle, connection) = connect(web).await;
        let connection = tokio::spawn(connection);
        let target = format!("http://test/gate?{}", gate.query());
        let request = Request::post(target).body(()).expect("a request");
        let (answer, mut body) =
            handle.ready().await.expect("open").send_request(request, false).expect("sent");
        let waiting = gate.arrived_async().await;
        body.reserve_capacity(4 * 1024 * 1024);
        let mut sent = 0;
        while let Ok(Some(Ok(room))) =
            tokio::time::timeout(Duration::from_millis(600), next_room(&mut body)).await
        {
            body.send_data(Bytes::from(vec![b'x'; room]), false).expect("sent");
            sent += room;
        }
        assert!(sent > 65_535, "as much as there is room for, and then three times timeouts.body: {sent}");
        waiting.open();
        assert_eq!(answer.await.expect("not cut").status(), 200);
        body.send_reset(h2::Reason::NO_ERROR);
        connection.await.expect("no panic").expect("a clean end");
    });
    daemon.asleep();
}

async fn next_room(body: &mut h2::SendStream<Bytes>) -> Option<Result<usize, h2::Error>> {
    std::future::poll_fn(|cx| body.poll_capacity(cx)).await
}
