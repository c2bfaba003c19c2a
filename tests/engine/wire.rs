//! HTTP/2 frame by frame (RFC 9113), for what a well-behaved client would never do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame to send.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("small").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a `GET` to `a`, in HPACK: static table and plain literals (RFC 7541).
pub fn get(path: &str) -> Vec<u8> {
    head(0x82, path)
}

/// The head of a `POST` to `a`.
pub fn post(path: &str) -> Vec<u8> {
    head(0x83, path)
}

fn head(method: u8, path: &str) -> Vec<u8> {
    let mut head = vec![method, 0x86, 0x04, u8::try_from(path.len()).expect("below 127")];
    head.extend(path.bytes());
    head.extend(b"\x01\x01a");
    head
}

/// A connection whose preface and settings are sent.
pub fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(PREFACE).expect("taken");
    stream.write_all(&frame(SETTINGS, 0, 0, b"")).expect("taken");
    stream
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The next frame; `None` at the peer's end.
pub fn next(stream: &mut TcpStream) -> Option<Frame> {
    let mut header = [0; 9];
    if stream.read(&mut header[..1]).expect("no reset") == 0 {
        return None;
    }
    stream.read_exact(&mut header[1..]).expect("a whole frame");
    let [a, b, c, kind, flags, s0, s1, s2, s3] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).expect("a whole frame");
    Some(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload })
}

/// Reads on to a frame of this kind that is no acknowledgement.
pub fn until(stream: &mut TcpStream, kind: u8) -> Frame {
    loop {
        let frame = next(stream).expect("it comes before the end");
        if frame.kind == kind && !(matches!(kind, SETTINGS | PING) && frame.flags & ACK != 0) {
            return frame;
        }
    }
}

/// Reads on to the end of a stream's answer, which is to be a 200; its body.
pub fn answer(stream: &mut TcpStream, id: u32) -> String {
    let mut body = Vec::new();
    loop {
        let frame = next(stream).expect("the answer comes before the end");
        if frame.stream == id {
            assert!(matches!(frame.kind, HEADERS | DATA), "{frame:?}");
            match frame.kind {
                HEADERS => assert_eq!(frame.payload[0], 0x88, "status 200: {frame:?}"),
                _ => body.extend(frame.payload),
            }
            if frame.flags & END_STREAM != 0 {
                return String::from_utf8(body).expect("text");
            }
        }
    }
}

/// The highest stream a GOAWAY promises to answer.
pub fn last_stream(goaway: &Frame) -> u32 {
    assert_eq!(goaway.kind, GOAWAY);
    u32::from_be_bytes(goaway.payload[..4].try_into().expect("four bytes")) & 0x7fff_ffff
}
