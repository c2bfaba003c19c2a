//! The app of `benches/wake-app`: a web server that is there at once, so that what is measured is what wakes it.
//!
//! It listens on the socket it is passed (`LISTEN_FDS`), on the port or on the path that it is given, says so
//! (`NOTIFY_SOCKET`), and answers every request the same.
//!
//! ```sh
//! target/debug/examples/tiny_app 3000
//! ```

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use listenfd::ListenFd;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nawake\n";

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    match address.as_deref() {
        Some(address) => match address.parse() {
            Ok(port) => serve_tcp(&TcpListener::bind((Ipv4Addr::LOCALHOST, port))?),
            Err(_) => serve_unix(&UnixListener::bind(address)?),
        },
        None => serve_unix(&ListenFd::from_env().take_unix_listener(0)?.ok_or("no socket was passed")?),
    }
}

fn serve_tcp(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    tell_ready()?;
    loop {
        let stream: TcpStream = listener.accept()?.0;
        stream.set_nodelay(true)?;
        thread::spawn(move || answer(stream));
    }
}

fn serve_unix(listener: &UnixListener) -> Result<(), Box<dyn Error>> {
    tell_ready()?;
    loop {
        let stream: UnixStream = listener.accept()?.0;
        thread::spawn(move || answer(stream));
    }
}

/// For units of `Type=notify`.
fn tell_ready() -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(path) => UnixDatagram::unbound()?.send_to(b"READY=1", path).map(drop),
        None => Ok(()),
    }
}

/// Answers each request of a connection; requests have no body.
fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            len => head.extend_from_slice(&piece[..len]),
        }
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(ANSWER)?;
        }
    }
}
