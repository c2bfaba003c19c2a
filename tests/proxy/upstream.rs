//! An upstream that the test plays itself, byte by byte, so that it can misbehave.

use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Answer, Client, Daemon, PATIENCE};
use crate::site::{SLOW, Site};

/// Quick to sleep, once it has been asked something, or nobody has come for a second and a half.
pub const QUICK: &str = "[sleep]\nafter = \"20ms\"\nmin_awake = \"1500ms\"\ngrace = \"10ms\"\n";

/// A small answer that keeps the connection.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub struct Upstream(TcpListener);

impl Upstream {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("an option");
        Self(listener)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The route that passes everything on to it, with these keys.
    pub fn route(&self, keys: &str) -> String {
        route(&self.url(), keys)
    }

    /// A dormouse that does so; it stays as long as the test needs it.
    pub fn behind(&self, keys: &str) -> (Site, Daemon) {
        start(&self.route(keys))
    }

    /// The next connection that dormouse opens.
    pub fn accept(&self) -> Client<TcpStream> {
        let patience = Timespec::try_from(PATIENCE).expect("in range");
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "nobody connects");
        let (stream, _) = self.0.accept().expect("it was just there");
        stream.set_nonblocking(false).expect("an option");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client(stream)
    }

    /// The next connection, whose first request is read, and its head.
    pub fn asked(&self) -> (Client<TcpStream>, Answer) {
        let mut connection = self.accept();
        let request = connection.head();
        (connection, request)
    }

    /// Nobody has connected who was not accepted.
    #[track_caller]
    pub fn is_left_alone(&self) {
        assert!(self.0.accept().is_err(), "somebody connects");
    }
}

/// The route that passes everything on to `url`, with these keys.
pub fn route(url: &str, keys: &str) -> String {
    format!("[[route]]\npath = \"/\"\nproxy = {url:?}\n{keys}\n")
}

/// A dormouse with this config; it stays as long as the test needs it.
pub fn start(config: &str) -> (Site, Daemon) {
    let site = Site::new(&format!("{SLOW}{config}"));
    let daemon = site.wake();
    (site, daemon)
}

impl Client<TcpStream> {
    /// Waits until the other side has ended, by FIN or by a reset.
    pub fn end(&mut self) {
        let mut rest = Vec::new();
        match std::io::Read::read_to_end(&mut self.0, &mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it goes on"),
        }
    }
}

impl Answer {
    /// The first line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// What a daemon has logged, once it was told to leave and has left.
pub fn log(daemon: Daemon) -> String {
    daemon.signal(libc::SIGTERM);
    daemon.left().1
}

/// The id on a page of an error, which the log has too.
#[track_caller]
pub fn id(page: &Answer) -> String {
    let text = page.text();
    let id = text.split_once("(id ").and_then(|(_, rest)| rest.split_once(')'));
    id.unwrap_or_else(|| panic!("no id on {text:?}")).0.to_owned()
}
