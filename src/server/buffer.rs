//! Reading into memory that is not initialized yet: the few lines where that needs `unsafe`.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use hyper::rt::ReadBufCursor;

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

/// The free room of a buffer of our own.
pub fn spare(buffer: &mut BytesMut) -> &mut [MaybeUninit<u8>] {
    buffer.spare_capacity_mut()
}

/// Adds the `len` bytes a transport has just read into [`spare`].
pub fn extend(buffer: &mut BytesMut, len: usize) {
    debug_assert!(buffer.len() + len <= buffer.capacity());
    // SAFETY: the transport reported these bytes as read, hence written, and they fit.
    #[allow(unsafe_code)]
    unsafe {
        buffer.set_len(buffer.len() + len);
    }
}
