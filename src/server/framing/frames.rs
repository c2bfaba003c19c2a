//! Which HTTP/2 streams are open, followed on the frame headers of both directions (RFC 9113 section 4.1).
//!
//! hyper keeps its streams to itself; the frames tell the same, exactly: a stream is open from the first byte of its
//! HEADERS until END_STREAM or RST_STREAM of our side has gone out, or RST_STREAM has come in. PING and SETTINGS are no
//! activity. Payloads are skipped, never kept.

/// Frame types and flags of RFC 9113 section 6.
mod wire {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const HEADER_LEN: usize = 9;
    pub const PREFACE_LEN: usize = 24;
}

/// How much of a request's body a client may send unread, in bytes: our SETTINGS_INITIAL_WINDOW_SIZE.
pub const STREAM_WINDOW: u32 = 1024 * 1024;

/// That of a connection, before we have widened it (RFC 9113 section 6.9.2).
const FIRST_WINDOW: i64 = 65_535;

/// The streams of one connection.
#[derive(Debug)]
pub struct Streams {
    open: Vec<Stream>,
    /// How much the client may send on all of them together.
    window: i64,
    /// Highest stream the client has opened.
    last: u32,
    /// Streams above this are not served: our GOAWAY said so.
    limit: u32,
    received: Cutter,
    sent: Cutter,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    id: u32,
    is_request_whole: bool,
    /// How much the client may send on it: below 1 it is not the client who is waited for.
    window: i64,
}

/// Cuts one direction into frames, keeping nine bytes at most.
#[derive(Debug, Default)]
struct Cutter {
    header: [u8; wire::HEADER_LEN],
    have: usize,
    /// Payload still to be skipped.
    skip: usize,
    /// The frame that began last.
    last: Option<Frame>,
    /// The first bytes of the payload of GOAWAY and WINDOW_UPDATE, which are looked into.
    peek: Option<([u8; 4], usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Of its payload.
    len: u32,
}

impl Frame {
    /// Whether it carries a message; the others are about the connection.
    fn is_of_message(self) -> bool {
        matches!(self.kind, wire::DATA | wire::HEADERS | wire::CONTINUATION)
    }
}

#[derive(Clone, Copy, Debug)]
enum Seen {
    Frame(Frame),
    LastStream(u32),
    Window { stream: u32, more: u32 },
}

impl Default for Streams {
    fn default() -> Self {
        // The client's preface precedes its frames (RFC 9113 section 3.4).
        let received = Cutter { skip: wire::PREFACE_LEN, ..Cutter::default() };
        let sent = Cutter::default();
        Self { open: Vec::new(), window: FIRST_WINDOW, last: 0, limit: u32::MAX, received, sent }
    }
}

impl Streams {
    /// Follows bytes that came in; whether any are of a request.
    pub fn received(&mut self, bytes: &[u8]) -> bool {
        let (open, last, limit) = (&mut self.open, &mut self.last, self.limit);
        let window = &mut self.window;
        self.received.cut(bytes, |seen| {
            let Seen::Frame(Frame { kind, flags, stream, len }) = seen else { return };
            if kind == wire::DATA {
                *window = window.saturating_sub(len.into());
                let own = open.iter_mut().find(|open| open.id == stream).map(|open| &mut open.window);
                own.into_iter().for_each(|own| *own = own.saturating_sub(len.into()));
            }
            match kind {
                wire::HEADERS if stream > *last => {
                    *last = stream;
                    if stream <= limit {
                        let is_request_whole = flags & wire::END_STREAM != 0;
                        open.push(Stream { id: stream, is_request_whole, window: STREAM_WINDOW.into() });
                    }
                }
                wire::DATA | wire::HEADERS if flags & wire::END_STREAM != 0 => {
                    open.iter_mut()
                        .filter(|open| open.id == stream)
                        .for_each(|open| open.is_request_whole = true);
                }
                wire::RST_STREAM => open.retain(|open| open.id != stream),
                _ => {}
            }
        })
    }

    /// Follows bytes that went out; whether any are of an answer.
    pub fn sent(&mut self, bytes: &[u8]) -> bool {
        let (open, limit, window) = (&mut self.open, &mut self.limit, &mut self.window);
        self.sent.cut(bytes, |seen| match seen {
            Seen::Frame(Frame { kind: wire::RST_STREAM, stream, .. }) => {
                open.retain(|open| open.id != stream)
            }
            Seen::Frame(Frame { kind: wire::DATA | wire::HEADERS, flags, stream, .. })
                if flags & wire::END_STREAM != 0 =>
            {
                open.retain(|open| open.id != stream);
            }
            Seen::Frame(_) => {}
            Seen::LastStream(last) => {
                *limit = last;
                open.retain(|open| open.id <= last);
            }
            Seen::Window { stream: 0, more } => *window = window.saturating_add(more.into()),
            Seen::Window { stream, more } => {
                let own = open.iter_mut().find(|open| open.id == stream).map(|open| &mut open.window);
                own.into_iter().for_each(|own| *own = own.saturating_add(more.into()));
            }
        })
    }

    /// Streams that are open now.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether the client has ever opened one.
    pub fn any_ever(&self) -> bool {
        self.last > 0
    }

    /// Whether more of a request is the client's to send: what we give it no window for is not waited for.
    pub fn awaits_client(&self) -> bool {
        let may_send = |stream: &Stream| !stream.is_request_whole && stream.window > 0;
        self.head_under_way().is_some() || (self.window > 0 && self.open.iter().any(may_send))
    }

    /// The stream whose head has begun and is not whole.
    pub fn head_under_way(&self) -> Option<u32> {
        let Frame { kind, flags, stream, .. } = self.received.last?;
        let is_head = matches!(kind, wire::HEADERS | wire::CONTINUATION);
        let is_whole = self.received.skip == 0 && flags & wire::END_HEADERS != 0;
        (is_head && !is_whole).then_some(stream)
    }
}

impl Cutter {
    /// Goes on with `bytes`; whether any are of a message.
    fn cut(&mut self, mut bytes: &[u8], mut see: impl FnMut(Seen)) -> bool {
        let mut is_of_message = self.skip > 0 && self.last.is_some_and(Frame::is_of_message);
        while !bytes.is_empty() {
            if let Some((word, have)) = &mut self.peek {
                word[*have] = bytes[0];
                *have += 1;
                (self.skip, bytes) = (self.skip - 1, &bytes[1..]);
                if *have == word.len() {
                    let word = u32::from_be_bytes(*word) & 0x7fff_ffff;
                    self.peek = None;
                    see(match self.last {
                        Some(Frame { kind: wire::WINDOW_UPDATE, stream, .. }) => {
                            Seen::Window { stream, more: word }
                        }
                        _ => Seen::LastStream(word),
                    });
                }
            } else if self.skip > 0 {
                let some = self.skip.min(bytes.len());
                (self.skip, bytes) = (self.skip - some, &bytes[some..]);
            } else {
                let some = (wire::HEADER_LEN - self.have).min(bytes.len());
                self.header[self.have..self.have + some].copy_from_slice(&bytes[..some]);
                (self.have, bytes) = (self.have + some, &bytes[some..]);
                if self.have == wire::HEADER_LEN {
                    let frame = self.begin_frame();
                    is_of_message |= frame.is_of_message();
                    see(Seen::Frame(frame));
                }
            }
        }
        is_of_message
    }

    fn begin_frame(&mut self) -> Frame {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = self.header;
        self.have = 0;
        let len = u32::from_be_bytes([0, a, b, c]);
        self.skip = len as usize;
        if matches!(kind, wire::GOAWAY | wire::WINDOW_UPDATE) && self.skip >= 4 {
            self.peek = Some(([0; 4], 0));
        }
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let frame = Frame { kind, flags, stream, len };
        self.last = Some(frame);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).expect("small").to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn preface() -> Vec<u8> {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    }

    #[test]
    fn follows_streams_byte_by_byte() {
        let mut streams = Streams::default();
        let mut wire = preface();
        wire.extend(frame(4, 0, 0, &[0; 6])); // SETTINGS
        wire.extend(frame(6, 0, 0, &[0; 8])); // PING
        wire.extend(frame(1, 5, 1, b"head"));
        wire.extend(frame(1, 4, 3, b"head"));
        for byte in wire.chunks(1) {
            streams.received(byte);
        }
        assert_eq!((streams.open(), streams.awaits_client()), (2, true));
        streams.received(&frame(0, 1, 3, b"body"));
        assert!(!streams.awaits_client());
        streams.received(&frame(1, 5, 3, b"late trailers open nothing"));
        assert_eq!(streams.open(), 2);
        streams.sent(&frame(1, 4, 1, b"head"));
        streams.sent(&frame(0, 1, 1, b"body"));
        assert_eq!(streams.open(), 1);
        streams.received(&frame(3, 0, 3, &[0; 4]));
        assert_eq!(streams.open(), 0);
    }

    #[test]
    fn streams_above_our_goaway_are_not_served() {
        let mut streams = Streams::default();
        streams.received(&preface());
        streams.received(&frame(1, 5, 1, b""));
        streams.received(&frame(1, 5, 3, b""));
        streams.sent(&frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        assert_eq!(streams.open(), 1);
        streams.received(&frame(1, 5, 5, b""));
        assert_eq!(streams.open(), 1);
    }

    #[test]
    fn tells_messages_from_the_rest_and_whole_heads_from_begun_ones() {
        let mut streams = Streams::default();
        streams.received(&preface());
        assert!(!streams.received(&frame(6, 0, 0, &[0; 8])), "a PING is of no message");
        let head = frame(1, 1, 1, b"head");
        for byte in head.chunks(1) {
            let is_whole = streams.open() > 0;
            assert_eq!(streams.received(byte), is_whole || streams.open() > 0);
            assert_eq!(streams.head_under_way(), (streams.open() > 0).then_some(1));
        }
        assert!(streams.awaits_client(), "END_STREAM, but no END_HEADERS");
        streams.received(&frame(9, 4, 1, b"rest"));
        assert_eq!((streams.head_under_way(), streams.awaits_client()), (None, false));
    }

    #[test]
    fn what_no_window_is_given_for_is_not_waited_for() {
        let mut streams = Streams::default();
        streams.received(&preface());
        streams.received(&frame(1, 4, 1, b"head"));
        assert!(streams.awaits_client());
        streams.received(&frame(0, 0, 1, &vec![0; 65_535]));
        assert!(!streams.awaits_client(), "the connection's window is used up");
        streams.sent(&frame(8, 0, 0, &(2 * STREAM_WINDOW).to_be_bytes()));
        assert!(streams.awaits_client());
        streams.received(&frame(0, 0, 1, &vec![0; STREAM_WINDOW as usize - 65_535]));
        assert!(!streams.awaits_client(), "the stream's window is used up");
        for byte in frame(8, 0, 1, &1u32.to_be_bytes()) {
            assert!(!streams.awaits_client());
            streams.sent(&[byte]);
        }
        assert!(streams.awaits_client());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut streams = Streams::default();
            streams.received(&bytes);
            streams.sent(&bytes);
        }
    }
}
