//! Where WebSocket frames begin and end, followed on the bytes of one direction (RFC 6455 section 5.2).
//!
//! A proxy passes them as they are. To say goodbye it must put a Close frame between two others, never into one; between
//! the fragments of a message is fine, for control frames may stand there (section 5.4).

use bytes::Bytes;

/// The status of a server that goes down (RFC 6455 section 7.4.1).
pub const GOING_AWAY: u16 = 1001;

/// The opcode of a Close frame.
const CLOSE: u8 = 8;
/// The bit that says a frame is the last of its message.
const FINAL: u8 = 0x80;
const OPCODE: u8 = 0x0f;
/// The bit that says a masking key follows the length.
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Two bytes, eight of length, four of mask.
const LONGEST_HEADER: usize = 14;

/// Follows one direction, from the first byte after the handshake. It judges nothing: whatever comes is followed by the
/// length it says.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: [u8; LONGEST_HEADER],
    /// How much of the header has come; zero within a payload.
    have: usize,
    /// Payload that has not come yet.
    left: u64,
    /// The Close frame has come in whole.
    is_closed: bool,
}

impl Frames {
    /// Follows the next bytes, cut anywhere. Returns the first place in them where no frame is under way, at which other
    /// frames may be put in: `Some(0)` if that was so before them, `Some(bytes.len())` if it is only so after them.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut first = self.is_between().then_some(0);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += if self.left > 0 { self.skip(rest.len()) } else { self.push(rest[0]) };
            if self.is_between() {
                self.is_closed |= self.header[0] & OPCODE == CLOSE;
                first = first.or(Some(at));
            }
        }
        first
    }

    /// Whether no frame is under way.
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a whole Close frame has passed, in all the bytes that were followed. Nothing may come after it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes a byte of a header; how many that is.
    fn push(&mut self, byte: u8) -> usize {
        self.header[self.have] = byte;
        self.have += 1;
        if let Some(payload) = payload_of(&self.header[..self.have]) {
            self.left = payload;
            self.have = 0;
        }
        1
    }

    /// Takes so many bytes of payload, or those that are left; how many that is.
    fn skip(&mut self, most: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= taken as u64;
        taken
    }
}

/// The length of the payload, once the header is whole.
fn payload_of(header: &[u8]) -> Option<u64> {
    let (second, rest) = (*header.get(1)?, header.get(2..)?);
    // Short lengths stand in the second byte itself, longer ones in a number after it.
    let (short, number_len) = match second & LENGTH {
        127 => (0, 8),
        126 => (0, 2),
        short => (short, 0),
    };
    let mask_len = if second & MASKED == 0 { 0 } else { 4 };
    let number = rest.get(..number_len)?;
    let is_whole = rest.len() >= number_len + mask_len;
    is_whole.then(|| number.iter().fold(short.into(), |number, byte| number << 8 | u64::from(*byte)))
}

/// A whole Close frame with a status: without a mask for a client, with one for a server (RFC 6455 section 5.3).
pub fn close_frame(status: u16, mask: Option<[u8; 4]>) -> Bytes {
    let [high, low] = status.to_be_bytes();
    match mask {
        None => Bytes::copy_from_slice(&[FINAL | CLOSE, 2, high, low]),
        Some([a, b, c, d]) => {
            Bytes::copy_from_slice(&[FINAL | CLOSE, MASKED | 2, a, b, c, d, high ^ a, low ^ b])
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// One frame; the payload of a masked one may be anything.
    fn frame(opcode: u8, len: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { MASKED } else { 0 };
        let mut frame = vec![FINAL | opcode];
        match len {
            0..126 => frame.push(bit | len as u8),
            126..65_536 => {
                frame.push(bit | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            _ => {
                frame.push(bit | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(mask.into_iter().flatten());
        // What would be a Close frame, if it were a header.
        frame.resize(frame.len() + len, FINAL | CLOSE);
        frame
    }

    /// All places between frames, by feeding one byte at a time.
    fn boundaries(bytes: &[u8]) -> Vec<usize> {
        let mut frames = Frames::default();
        let after = bytes.iter().enumerate().filter_map(|(at, byte)| {
            frames.advance(&[*byte]);
            frames.is_between().then_some(at + 1)
        });
        std::iter::once(0).chain(after).collect()
    }

    #[test]
    fn every_form_of_length_is_followed() {
        for len in [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537] {
            for mask in [None, Some(KEY)] {
                let frame = frame(2, len, mask);
                assert_eq!(boundaries(&frame), [0, frame.len()], "{len} {mask:?}");
                let mut frames = Frames::default();
                assert_eq!((frames.advance(&frame), frames.is_between()), (Some(0), true));
                assert!(!frames.is_closed());
            }
        }
    }

    #[test]
    fn a_length_may_be_longer_than_it_needs_to_be() {
        let mut frame = vec![0x82, MASKED | 127, 0, 0, 0, 0, 0, 0, 0, 3];
        frame.extend(KEY);
        frame.extend(*b"abc");
        assert_eq!(boundaries(&frame), [0, frame.len()]);
    }

    #[test]
    fn the_first_place_for_a_goodbye_is_told() {
        let mut frames = Frames::default();
        assert_eq!(frames.advance(b""), Some(0));
        assert_eq!(frames.advance(b"\x81\x05He"), Some(0));
        assert!(!frames.is_between());
        assert_eq!(frames.advance(b""), None);
        assert_eq!(frames.advance(b"l"), None);
        assert_eq!(frames.advance(b"lo\x81\x05Hello\x81"), Some(2));
        assert!(!frames.is_between());
        assert_eq!(frames.advance(b"\x00"), Some(1));
        assert!(frames.is_between());
    }

    #[test]
    fn a_close_counts_once_it_is_whole() {
        for close in [close_frame(GOING_AWAY, None), close_frame(GOING_AWAY, Some(KEY))] {
            let mut frames = Frames::default();
            frames.advance(&close[..close.len() - 1]);
            assert!(!frames.is_closed());
            frames.advance(&close[close.len() - 1..]);
            assert!(frames.is_closed() && frames.is_between());
        }
        let mut frames = Frames::default();
        frames.advance(&[FINAL | CLOSE, 0, 0x81, 0]);
        assert!(frames.is_closed());
    }

    #[test]
    fn a_close_frame_is_what_the_rfc_says() {
        assert_eq!(close_frame(GOING_AWAY, None)[..], [0x88, 0x02, 0x03, 0xe9]);
        let masked = close_frame(GOING_AWAY, Some(KEY));
        assert_eq!(masked[..6], [0x88, 0x82, 0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!([masked[6] ^ KEY[0], masked[7] ^ KEY[1]], [0x03, 0xe9]);
    }

    #[test]
    fn a_length_that_never_ends_is_followed_without_an_end() {
        let mut frames = Frames::default();
        frames.advance(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(frames.advance(&[0; 1000]), None);
        assert!(!frames.is_between());
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let len = prop_oneof![0..4_usize, 120..130_usize, 65_530..65_540_usize];
        let opcode = prop_oneof![Just(0_u8), Just(1), Just(2), Just(9), Just(10)];
        (opcode, len, proptest::option::of(any::<[u8; 4]>()))
            .prop_map(|(opcode, len, mask)| frame(opcode, len, mask))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// In any pieces, the same boundaries, and a Close only where there is one.
        #[test]
        fn pieces_change_nothing(
            list in proptest::collection::vec(any_frame(), 1..5),
            closes: bool,
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let mut ends = vec![0];
            let mut bytes = Vec::new();
            for frame in list.into_iter().chain(closes.then(|| close_frame(1000, None).to_vec())) {
                bytes.extend(frame);
                ends.push(bytes.len());
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut frames = Frames::default();
            for cut in cuts.windows(2) {
                let first = frames.advance(&bytes[cut[0]..cut[1]]).map(|at| cut[0] + at);
                prop_assert_eq!(first, ends.iter().copied().find(|end| (cut[0]..=cut[1]).contains(end)));
                prop_assert_eq!(frames.is_between(), ends.contains(&cut[1]));
            }
            prop_assert_eq!(frames.is_closed(), closes);
        }

        #[test]
        fn no_bytes_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut frames = Frames::default();
            for piece in pieces {
                let first = frames.advance(&piece);
                prop_assert!(first.is_none_or(|at| at <= piece.len()));
                prop_assert!(first.is_some() || !frames.is_between());
            }
        }
    }
}
