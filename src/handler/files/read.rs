//! Reading pieces of a file: at once if the kernel has them in memory, else where waiting does no harm.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread, retry_on_intr};

/// Reads what the page cache holds of a piece, which may be less than all of it (nothing only at the end of the file).
/// `None`: it would have to wait, or this file system cannot tell.
pub fn read_cached(file: impl AsFd, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
    let mut buffer = Vec::with_capacity(length);
    match retry_on_intr(|| preadv2_nowait(&file, &mut buffer, offset, length)) {
        Ok(()) => Ok(Some(buffer.into())),
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads a piece, waiting for the disk: on the blocking pool.
pub fn read_waiting(file: impl AsFd, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(length);
    retry_on_intr(|| pread(&file, spare_capacity(&mut buffer), offset))?;
    buffer.truncate(length); // more memory than asked for may have been given
    Ok(buffer.into())
}

/// preadv2(2) with `RWF_NOWAIT` to the end of an empty buffer. rustix has it for initialized memory only, and zeroing
/// 64 KiB a frame first costs about as much as reading them.
#[allow(unsafe_code)]
fn preadv2_nowait(
    file: &impl AsFd,
    buffer: &mut Vec<u8>,
    offset: u64,
    length: usize,
) -> rustix::io::Result<()> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::INVAL)?;
    let spare = buffer.spare_capacity_mut();
    let piece = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len().min(length) };
    // SAFETY: the kernel writes at most `iov_len` bytes to memory that `buffer` owns and nobody else borrows; the
    // descriptor is borrowed for the call.
    let count = unsafe { libc::preadv2(file.as_fd().as_raw_fd(), &piece, 1, offset, libc::RWF_NOWAIT) };
    let Ok(count) = usize::try_from(count) else {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    // SAFETY: the kernel has initialized the first `count` bytes, within the capacity; the buffer was empty.
    unsafe { buffer.set_len(count) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::files::scratch::Scratch;

    #[test]
    fn both_ways_read_the_same() {
        let scratch = Scratch::new();
        scratch.write("a", b"0123456789");
        let file = scratch.open("a");
        for (offset, length, expected) in
            [(0, 10, &b"0123456789"[..]), (3, 4, b"3456"), (8, 10, b"89"), (10, 5, b"")]
        {
            assert_eq!(read_waiting(&file, offset, length).unwrap(), expected);
            // What was just written is in memory; file systems that cannot tell give nothing.
            if let Some(bytes) = read_cached(&file, offset, length).unwrap() {
                assert_eq!(bytes, expected);
            }
        }
    }

    #[test]
    fn errors_are_told() {
        let scratch = Scratch::new();
        let directory = std::fs::File::open(scratch.path()).unwrap();
        assert!(read_waiting(&directory, 0, 1).is_err());
        assert!(read_cached(&directory, u64::MAX, 1).is_err());
    }
}
