//! HTTP/2 at either side: streams end alone, trailers pass as gRPC needs them; and upstreams behind TLS.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::{HeaderMap, Request, Response, StatusCode};

use crate::harness::{Folder, connect};
use crate::upstream::{OK, Upstream, route, start};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(crate::harness::PATIENCE, future).await.expect("in time") })
}

async fn client(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (handle, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    handle.ready().await.expect("open")
}

fn request(method: &str) -> Request<()> {
    Request::builder().method(method).uri("http://site.test/a//b?c").body(()).expect("a request")
}

/// One body, to its end.
async fn read(body: &mut h2::RecvStream) -> Result<(String, Option<HeaderMap>), h2::Error> {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        text.extend_from_slice(&data);
    }
    Ok((String::from_utf8(text).expect("text"), body.trailers().await?))
}

#[test]
fn a_stream_that_is_reset_cancels_its_request_and_no_other() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    block_on(async {
        let mut handle = client(site.web).await;
        let (first, mut stream) = handle.send_request(request("GET"), true).expect("open");
        let mut first = Box::pin(first);
        // The client's connection runs beside this thread only while it waits.
        let (upstream, mut a) = tokio::task::spawn_blocking(move || {
            let a = upstream.asked().0;
            (upstream, a)
        })
        .await
        .expect("no panic");
        handle = handle.ready().await.expect("open");
        let (second, _) = handle.send_request(request("GET"), true).expect("open");
        let (_upstream, mut b) = tokio::task::spawn_blocking(move || {
            let b = upstream.asked().0;
            (upstream, b)
        })
        .await
        .expect("no panic");
        stream.send_reset(h2::Reason::CANCEL);
        assert!(futures_now(&mut first).await.is_err());
        tokio::task::spawn_blocking(move || a.end()).await.expect("no panic");
        b.send(OK);
        let mut answer = second.await.expect("it is answered");
        assert_eq!(read(answer.body_mut()).await.expect("whole").0, "ok");
    });
}

async fn futures_now<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> T {
    future.as_mut().await
}

#[test]
fn an_upload_that_does_not_go_on_is_408_and_ends_its_stream_alone() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("timeouts = { body = \"300ms\" }");
    block_on(async {
        let mut handle = client(site.web).await;
        let (stalled, mut body) = handle.send_request(request("PUT"), false).expect("open");
        body.send_data("part".into(), false).expect("open");
        let answer = stalled.await.expect("it is answered");
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        handle = handle.ready().await.expect("open");
        let (second, _) = handle.send_request(request("GET"), true).expect("open");
        let serving = tokio::task::spawn_blocking(move || {
            loop {
                let (mut connection, asked) = upstream.asked();
                if asked.line().starts_with("GET") {
                    connection.send(OK);
                    return;
                }
            }
        });
        let mut answer = second.await.expect("it is answered");
        assert_eq!(read(answer.body_mut()).await.expect("whole").0, "ok");
        serving.await.expect("no panic");
    });
}

/// Serves `count` requests of one connection: tells what it was asked, with trailers.
fn grpc(listener: std::net::TcpListener, count: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        block_on(async {
            listener.set_nonblocking(true).expect("an option");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
            let (stream, _) = listener.accept().await.expect("it connects");
            let mut connection = h2::server::handshake(stream).await.expect("a handshake");
            for _ in 0..count {
                let (request, mut respond) = connection.accept().await.expect("a request").expect("whole");
                tokio::spawn(async move {
                    let (head, mut body) = request.into_parts();
                    let answer = Response::builder().header("content-type", "application/grpc");
                    let mut send =
                        respond.send_response(answer.body(()).expect("an answer"), false).expect("open");
                    let said = format!(
                        "{} {} te={:?} via={:?}",
                        head.method,
                        head.uri,
                        head.headers.get("te"),
                        head.headers.get("via")
                    );
                    send.send_data(said.into(), false).expect("open");
                    let (text, trailers) = read(&mut body).await.expect("whole");
                    send.send_data(
                        format!(" {text} {:?}", trailers.unwrap_or_default().get("x-sum")).into(),
                        false,
                    )
                    .expect("open");
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().expect("a value"));
                    send.send_trailers(trailers).expect("open");
                });
            }
            std::future::poll_fn(|cx| connection.poll_closed(cx)).await.expect("a clean end");
        });
    })
}

#[test]
fn http2_passes_whole_with_its_trailers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("h2c://{}", listener.local_addr().expect("bound"));
    let serving = grpc(listener, 3);
    let (site, daemon) = start(&route(&url, ""));
    block_on(async {
        for _ in 0..3 {
            let mut handle = client(site.web).await;
            let mut request = request("POST");
            request.headers_mut().insert("te", "trailers".parse().expect("a value"));
            let (answer, mut body) = handle.send_request(request, false).expect("open");
            let mut answer = answer.await.expect("its head comes before the request's end");
            body.send_data("hello".into(), false).expect("open");
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().expect("a value"));
            body.send_trailers(trailers).expect("open");
            let (text, trailers) = read(answer.body_mut()).await.expect("whole");
            assert_eq!(
                text,
                "POST http://site.test/a//b?c te=Some(\"trailers\") via=Some(\"2 dormouse\") hello Some(\"7\")"
            );
            assert_eq!(trailers.expect("some")["grpc-status"], "0");
        }
    });
    daemon.signal(libc::SIGTERM);
    daemon.asleep();
    serving.join().expect("one connection was enough, and ended in order");
}

#[test]
fn an_http1_client_may_ask_an_http2_upstream() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("h2c://{}", listener.local_addr().expect("bound"));
    let _serving = grpc(listener, 2);
    let (site, _daemon) = start(&route(&url, ""));
    let mut client = connect(site.web);
    for _ in 0..2 {
        let text = "GET http://test/x?y te=None via=Some(\"1.1 dormouse\")  None";
        assert_eq!(client.get("/x?y").text(), text);
    }
}

#[test]
fn an_upstream_that_speaks_no_http2_is_502() {
    let upstream = Upstream::new();
    let (site, _daemon) = start(&route(&upstream.url().replace("http:", "h2c:"), ""));
    let mut client = connect(site.web);
    client.ask("/");
    let mut connection = upstream.accept();
    drop(upstream); // nothing of the request was written, perhaps: then it may be asked again
    connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    drop(connection);
    assert_eq!(client.answer().status(), 502);
}

/// `openssl` with these arguments, in that folder.
fn openssl(folder: &Folder, arguments: &str) {
    let mut command = std::process::Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(folder.join("")).output();
    let output = output.expect("openssl is installed (apt install openssl)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A server with a certificate for `localhost`; ends when dropped.
struct Tls(std::process::Child, u16);

impl Tls {
    fn start(folder: &Folder) -> Self {
        let mut command = std::process::Command::new("openssl");
        command.args("s_server -accept 127.0.0.1:0 -cert site.pem -key site.key -www".split(' '));
        command
            .current_dir(folder.join(""))
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut process = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("piped")));
        let port =
            lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok());
        std::thread::spawn(move || lines.for_each(drop));
        Self(process, port.expect("it says its port"))
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_upstream_behind_tls_is_believed_by_its_certificate() {
    let folder = Folder::new();
    openssl(
        &folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca",
    );
    openssl(
        &folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout site.key -out site.csr -subj /CN=site",
    );
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("a file");
    openssl(
        &folder,
        "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out site.pem -extfile names",
    );
    let server = Tls::start(&folder);
    let route = route(&format!("https://localhost:{}", server.1), "");
    for (authority, status) in [(folder.join("ca.pem"), 200), (folder.join("site.pem"), 502)] {
        let mut site = crate::site::Site::new(&format!("{}{route}", crate::site::SLOW));
        site.unit = std::mem::replace(&mut site.unit, crate::harness::Unit::new())
            .env("SSL_CERT_FILE", &authority.to_string_lossy());
        let daemon = site.wake();
        let mut client = connect(site.web);
        client.ask("/");
        let head = client.head();
        assert_eq!(head.status(), status, "{}", head.head);
        let log = crate::upstream::log(daemon);
        assert_eq!(status == 502, log.contains("certificate"), "{log}");
    }
}

#[test]
fn an_http2_request_for_an_http1_upstream_is_one_of_its_own() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    block_on(async {
        let mut handle = client(site.web).await;
        let mut request = request("GET");
        // As browsers split it (RFC 9113 section 8.2.3).
        for cookie in ["a=1", "b=2", "c=3"] {
            request.headers_mut().append("cookie", cookie.parse().expect("a value"));
        }
        let (answer, _) = handle.send_request(request, true).expect("open");
        let serving = tokio::task::spawn_blocking(move || {
            let (mut connection, asked) = upstream.asked();
            connection.send(OK);
            (connection, asked)
        });
        let mut answer = answer.await.expect("it is answered");
        assert_eq!(read(answer.body_mut()).await.expect("whole").0, "ok");
        let (_connection, asked) = serving.await.expect("no panic");
        assert_eq!(asked.line(), "GET /a//b?c HTTP/1.1");
        assert_eq!(
            (asked.header("host"), asked.header("cookie")),
            (Some("site.test"), Some("a=1; b=2; c=3"))
        );
        for none in ["transfer-encoding", "content-length", "connection"] {
            assert_eq!(asked.header(none), None, "{}", asked.head);
        }
        assert_eq!(asked.head.matches("cookie").count(), 1, "{}", asked.head);
    });
}

#[test]
fn an_http2_upstream_that_leaves_is_connected_to_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("h2c://{}", listener.local_addr().expect("bound"));
    let (site, _daemon) = start(&route(&url, ""));
    for _ in 0..3 {
        let serving = std::thread::spawn({
            let listener = listener.try_clone().expect("a descriptor");
            move || {
                block_on(async {
                    listener.set_nonblocking(true).expect("an option");
                    let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
                    let (stream, _) = listener.accept().await.expect("it connects");
                    let mut connection = h2::server::handshake(stream).await.expect("a handshake");
                    let (_, mut respond) = connection.accept().await.expect("a request").expect("whole");
                    let answer = Response::builder().status(204).body(()).expect("an answer");
                    respond.send_response(answer, true).expect("open");
                    connection.graceful_shutdown();
                    while connection.accept().await.is_some() {}
                });
            }
        });
        assert_eq!(connect(site.web).get("/").status(), 204);
        serving.join().expect("no panic");
    }
}

/// Serves every request of one connection: `/much` gets as much as it takes, everything else a word.
fn pouring(listener: std::net::TcpListener) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("an option");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
            let (stream, _) = listener.accept().await.expect("it connects");
            let mut connection = h2::server::handshake(stream).await.expect("a handshake");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let is_much = request.uri().path() == "/much";
                tokio::spawn(async move {
                    let mut send = respond.send_response(Response::new(()), false).expect("open");
                    if !is_much {
                        return send.send_data("ok".into(), true).expect("open");
                    }
                    let piece = Bytes::from(vec![0; 16 * 1024]);
                    loop {
                        send.reserve_capacity(piece.len());
                        match std::future::poll_fn(|cx| send.poll_capacity(cx)).await {
                            Some(Ok(len)) => send.send_data(piece.slice(..len), false).expect("open"),
                            _ => return, // nobody wants more
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn those_who_take_nothing_hold_back_nobody_else_on_the_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("h2c://{}", listener.local_addr().expect("bound"));
    pouring(listener);
    let (site, daemon) = start(&route(&url, ""));
    assert_eq!(connect(site.web).get("/").text(), "ok");
    let before = crate::errors::resident(&daemon, "VmHWM");
    let mut stalled: Vec<_> = (0..20).map(|_| connect(site.web)).collect();
    for client in &mut stalled {
        client.ask("/much");
        client.head();
    }
    for _ in 0..20 {
        let mut client = connect(site.web);
        // Before those who take nothing are sent off.
        client.0.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("an option");
        assert_eq!(client.get("/").text(), "ok");
        std::thread::sleep(std::time::Duration::from_millis(50)); // so that what may come has come
    }
    let grown = crate::errors::resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB more for twenty who take nothing");
}

#[test]
fn a_proxy_header_goes_out_on_a_connection_of_its_own() {
    let upstream = Upstream::new();
    let url = upstream.url().replace("http:", "h2c:");
    let (site, _daemon) = start(&route(&url, "proxy_protocol = true"));
    for _ in 0..2 {
        let mut client = connect(site.web);
        client.ask("/");
        let mut connection = upstream.accept();
        let mut header = [0; 28];
        std::io::Read::read_exact(&mut connection.0, &mut header).expect("a header");
        let own = client.0.local_addr().expect("connected");
        assert_eq!((&header[16..20], &header[24..26]), (&[127, 0, 0, 1][..], &own.port().to_be_bytes()[..]));
        connection.expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
}

#[test]
fn a_host_that_http2_cannot_say_is_the_clients_fault() {
    let upstream = Upstream::new();
    let (site, _daemon) = start(&route(&upstream.url().replace("http:", "h2c:"), ""));
    let mut client = connect(site.web);
    client.send("GET / HTTP/1.1\r\nHost: a[b\r\n\r\n");
    assert_eq!(client.head().status(), 400);
    upstream.is_left_alone();
}
