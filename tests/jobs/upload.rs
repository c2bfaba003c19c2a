//! Inputs that are too large for memory: they arrive whole, or leave nothing.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::Request;
use sha2::{Digest, Sha256};

use crate::board::{Board, STAYS, accepted, head, id, json, most_memory, stop, wait, whole};
use crate::harness::{Daemon, PATIENCE, reset};

const LARGE: usize = 200 * 1000 * 1000;
const PIECE: usize = 64 * 1024;

/// A part of a body that nothing compresses or repeats.
fn pieces(size: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = size as u64;
    (0..size.div_ceil(PIECE)).map(move |number| {
        let length = PIECE.min(size - number * PIECE);
        let mut piece = vec![0; length];
        for eight in piece.chunks_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            eight.copy_from_slice(&state.to_be_bytes()[..eight.len()]);
        }
        piece
    })
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

const BOUNDARY: &str = "----a-boundary";

/// What is around the file in a form that has other fields before and after it.
fn around() -> (String, String) {
    let field = |name: &str, value: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"../a b.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n"
    );
    (field("title", "a title") + &file, format!("\r\n{}--{BOUNDARY}--\r\n", field("after", "x; rm -rf /")))
}

/// Raw, or as the file of a form.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Raw,
    Form,
}

impl Kind {
    fn target(self) -> &'static str {
        match self {
            Self::Raw => "/raw",
            Self::Form => "/form",
        }
    }

    fn media(self) -> String {
        match self {
            Self::Raw => "application/octet-stream".to_owned(),
            Self::Form => format!("multipart/form-data; boundary={BOUNDARY}"),
        }
    }

    fn around(self) -> (String, String) {
        match self {
            Self::Raw => Default::default(),
            Self::Form => around(),
        }
    }
}

/// Over HTTP/1.1; where the job is, and the digest of what was sent.
fn over_http1(web: SocketAddr, kind: Kind, size: usize) -> (String, String) {
    let (before, after) = kind.around();
    let headers = format!("Content-Type: {}\r\n", kind.media());
    let length = before.len() + size + after.len();
    let mut stream = TcpStream::connect(web).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(head("POST", kind.target(), &headers, length).as_bytes()).expect("it reads");
    stream.write_all(before.as_bytes()).expect("it reads");
    let mut digest = Sha256::new();
    for piece in pieces(size) {
        digest.update(&piece);
        stream.write_all(&piece).expect("it reads");
    }
    stream.write_all(after.as_bytes()).expect("it reads");
    (accepted(&whole(&mut stream).expect("an answer")), hex(digest.finalize()))
}

/// Over HTTP/2.
fn over_http2(web: SocketAddr, kind: Kind, size: usize) -> (String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut handle = http2(web).await;
        let request = Request::builder().method("POST").uri(format!("http://site.test{}", kind.target()));
        let request = request.header("content-type", kind.media()).body(()).expect("a request");
        let (answer, mut body) = handle.send_request(request, false).expect("open");
        let (before, after) = kind.around();
        let mut digest = Sha256::new();
        let file = pieces(size).inspect(|piece| digest.update(piece));
        for piece in [before.into_bytes()].into_iter().chain(file).chain([after.into_bytes()]) {
            send(&mut body, piece.into()).await;
        }
        body.send_data(Bytes::new(), true).expect("open");
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 202);
        let at = answer.headers()["location"].to_str().expect("text").to_owned();
        (at, hex(digest.finalize()))
    })
}

async fn http2(web: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(web).await.expect("it listens");
    let (handle, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    handle.ready().await.expect("open")
}

/// Sends all of it, no faster than it is taken.
async fn send(body: &mut h2::SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.expect("open").expect("room");
        body.send_data(bytes.split_to(room.min(bytes.len())), false).expect("open");
    }
}

fn board() -> (Board, Daemon) {
    let config = format!(
        "{STAYS}[[route]]\npath = \"/raw\"\njob = [\"sha256sum\"]\n\
         [[route]]\npath = \"/form\"\njob = [\"FOLDER/form\", \"{{form.title}}\", \"{{form.after}}\"]\nfile = \"upload\"\n"
    );
    let board = Board::new(&[("form", "sha256sum; echo \"$# $1 $2\"")], &config);
    let daemon = board.wake();
    (board, daemon)
}

#[test]
fn two_hundred_megabytes_arrive_whole_and_stay_out_of_memory() {
    let (board, daemon) = board();
    board.get("/hello");
    let before = most_memory(&daemon);
    for kind in [Kind::Raw, Kind::Form] {
        for over in [over_http1, over_http2] {
            let (at, digest) = over(board.site.web, kind, LARGE);
            let job = board.until(&at, "done");
            assert_eq!(job["input"]["size"], LARGE, "{kind:?}");
            let output = job["output"].as_str().expect("text");
            assert!(output.starts_with(&digest), "{kind:?}: {output}, not {digest}");
            if let Kind::Form = kind {
                assert_eq!(job["input"]["type"], "text/csv");
                assert!(output.ends_with("2 a title x; rm -rf /\n"), "{output}");
            }
            std::fs::remove_file(board.path(&format!("jobs/spool/{}.in", id(&at)))).expect("it is there");
        }
    }
    let more = most_memory(&daemon) - before;
    println!(
        "4 times 200 MB, raw and as a form, over HTTP/1.1 and HTTP/2: {more} KiB more memory than before"
    );
    assert!(more < 24 * 1024, "{more} KiB more");
    stop(daemon);
}

#[test]
fn a_form_that_is_sent_again_is_the_same_whatever_its_boundary() {
    let (board, daemon) = board();
    let post = |boundary: &str, title: &str, size: usize| {
        let (before, after) = around();
        let file: String = "x,y\n".repeat(size / 4);
        let body = (before + &file + &after).replace(BOUNDARY, boundary).replace("a title", title);
        let media = Kind::Form.media().replace(BOUNDARY, boundary);
        let headers = format!("Content-Type: {media}\r\nIdempotency-Key: {size}\r\n");
        board.ask("POST", "/form", &headers, body.as_bytes())
    };
    for size in [400, 400_000] {
        let at = accepted(&post("one", "a title", size));
        assert_eq!(accepted(&post("another", "a title", size)), at);
        assert_eq!(post("one", "another title", size).status(), 422);
        board.until(&at, "done");
    }
    assert_eq!(board.list("/form").len(), 2);
    stop(daemon);
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let (board, daemon) = board();
    for (kind, is_reset) in [(Kind::Raw, false), (Kind::Raw, true), (Kind::Form, false)] {
        let mut stream = TcpStream::connect(board.site.web).expect("it listens");
        let headers = format!("Content-Type: {}\r\n", kind.media());
        stream.write_all(head("POST", kind.target(), &headers, 500_000).as_bytes()).expect("it reads");
        stream.write_all(kind.around().0.as_bytes()).expect("it reads");
        pieces(300_000).for_each(|piece| stream.write_all(&piece).expect("it reads"));
        assert!(wait(|| board.spool().len() == 1), "it has begun");
        if is_reset {
            reset(stream);
        } else {
            drop(stream);
        }
        assert!(wait(|| board.spool().is_empty()), "{:?}", board.spool());
    }
    reset_over_http2(&board);
    // A form that ends too soon, and one without its file.
    for body in [around().0 + "half", around().1.trim_start().to_owned()] {
        let headers = format!("Content-Type: {}\r\n", Kind::Form.media());
        assert_eq!(board.ask("POST", "/form", &headers, body.as_bytes()).status(), 400);
    }
    assert!(board.list("/raw").is_empty() && board.list("/form").is_empty());
    assert!(wait(|| board.spool().is_empty()), "{:?}", board.spool());
    stop(daemon);
}

fn reset_over_http2(board: &Board) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut handle = http2(board.site.web).await;
        let request =
            Request::builder().method("POST").uri("http://site.test/raw").body(()).expect("a request");
        let (answer, mut body) = handle.send_request(request, false).expect("open");
        let half: Vec<u8> = pieces(300_000).flatten().collect();
        send(&mut body, half.into()).await;
        tokio::time::timeout(PATIENCE, async {
            while board.spool().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await; // a poll with a deadline
            }
        })
        .await
        .expect("it has begun");
        body.send_reset(h2::Reason::CANCEL);
        assert!(answer.await.is_err());
        tokio::time::timeout(PATIENCE, async {
            while !board.spool().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await; // the same
            }
        })
        .await
        .expect("it leaves a file");
    });
}

#[test]
fn whoever_leaves_after_the_last_byte_is_taken_seriously() {
    let (board, daemon) = board();
    const CLIENTS: usize = 20;
    let mut digests = Vec::new();
    for number in 0..CLIENTS {
        let size = if number % 2 == 0 { 1000 } else { 100_000 };
        let mut stream = TcpStream::connect(board.site.web).expect("it listens");
        stream.write_all(head("POST", "/raw", "", size + number).as_bytes()).expect("it reads");
        let body: Vec<u8> = pieces(size + number).flatten().collect();
        stream.write_all(&body).expect("it reads");
        digests.push(hex(Sha256::digest(&body)));
    }
    let is_all = || {
        let jobs = board.list("/raw");
        jobs.len() == CLIENTS && jobs.iter().all(|job| job["state"] == "done")
    };
    assert!(wait(is_all), "{:?}", board.list("/raw"));
    let outputs: Vec<_> =
        board.list("/raw").iter().map(|job| board.job(job["location"].as_str().expect("text"))).collect();
    for digest in digests {
        let has = outputs
            .iter()
            .any(|job| job["output"].as_str().is_some_and(|output| output.starts_with(&digest)));
        assert!(has, "{digest} is lost");
    }
    stop(daemon);
}

#[test]
fn a_large_body_with_a_wrong_signature_leaves_nothing() {
    let secret = b"a secret of some length";
    let board = Board::new(
        &[],
        &format!(
            "{STAYS}[[route]]\npath = \"/hook\"\njob = [\"sha256sum\"]\n\
             verify = {{ preset = \"github\", secret = \"file:FOLDER/secret\" }}\n"
        ),
    );
    std::fs::write(board.path("secret"), secret).expect("a file");
    let daemon = board.wake();
    let body: Vec<u8> = pieces(20_000_000).flatten().collect();
    let sign = |key: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
        mac.update(&body);
        format!("X-Hub-Signature-256: sha256={}\r\n", hex(mac.finalize().into_bytes()))
    };
    for wrong in [sign(b"another"), "X-Hub-Signature-256: sha256=00\r\n".to_owned(), String::new()] {
        let answer = board.ask("POST", "/hook", &wrong, &body);
        assert_eq!(answer.status(), 401, "{wrong}");
        assert!(wait(|| board.spool().is_empty()), "{:?}", board.spool());
    }
    assert!(board.list("/hook").is_empty());
    let answer = board.ask("POST", "/hook", &sign(secret), &body);
    let at = json(&answer)["location"].as_str().expect("text").to_owned();
    let job = board.until(&at, "done");
    assert!(job["output"].as_str().expect("text").starts_with(&hex(Sha256::digest(&body))));
    stop(daemon);
}
