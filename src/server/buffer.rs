//! Reading into memory that is not initialized yet: the few lines where that needs `unsafe`.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Poll, ready};

use bytes::BytesMut;
use hyper::rt::ReadBufCursor;

/// How much is read at a time where hyper gives no buffer.
const READ_AHEAD: usize = 4096;

/// Where hyper wants the next bytes.
pub fn unfilled<'a>(cursor: &'a mut ReadBufCursor<'_>) -> &'a mut [MaybeUninit<u8>] {
    // SAFETY: nobody here writes uninitialized bytes over initialized ones; transports only write what they read.
    #[allow(unsafe_code)]
    unsafe {
        cursor.as_mut()
    }
}

/// The `len` bytes a transport has just read there.
pub fn just_read<'a>(cursor: &'a mut ReadBufCursor<'_>, len: usize) -> &'a [u8] {
    let read = &unfilled(cursor)[..len];
    // SAFETY: the transport reported these bytes as read, hence written.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(read.as_ptr().cast(), read.len())
    }
}

/// Gives hyper the first `len` of the bytes just read.
pub fn commit(cursor: &mut ReadBufCursor<'_>, len: usize) {
    debug_assert!(len <= cursor.remaining());
    // SAFETY: at most as many as the transport reported as read, hence written.
    #[allow(unsafe_code)]
    unsafe {
        cursor.advance(len);
    }
}

/// Adds what `read` reads to a buffer, which grows by no more than that: it may have to wait for it for a long time.
pub fn append(
    buffer: &mut BytesMut,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    let mut room = [MaybeUninit::uninit(); READ_AHEAD];
    let len = ready!(read(&mut room))?;
    let read = &room[..len];
    // SAFETY: the transport reported these bytes as read, hence written.
    #[allow(unsafe_code)]
    let read = unsafe { std::slice::from_raw_parts(read.as_ptr().cast(), read.len()) };
    buffer.extend_from_slice(read);
    Poll::Ready(Ok(len))
}
