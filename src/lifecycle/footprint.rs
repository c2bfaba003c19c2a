//! What the process keeps of the machine's memory while it waits.
//!
//! Starting runs code that serving never runs again: arguments, TOML, the loader. The kernel maps it in blocks of 64 KiB
//! and counts every page as resident. Given back when all is quiet, what is used again comes from the page cache, a block
//! for a minor fault; the rest stays away.

use std::ffi::{c_int, c_void};

/// Gives back freed memory, and the mapped pages of the program's code and its libraries'. Those are clean copies of
/// files, so nothing is lost; a few dozen minor faults follow.
pub fn shrink() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only returns what is free.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: `give_back` matches the signature dl_iterate_phdr(3) asks for, and uses no data.
    #[allow(unsafe_code)]
    unsafe {
        libc::dl_iterate_phdr(Some(give_back), std::ptr::null_mut());
    }
}

/// How much freed memory the allocator keeps at hand, in bytes: by default 128 KiB, less than the frames of one download,
/// which would then be asked of the kernel and given back again and again.
#[cfg(target_env = "gnu")]
const KEEP_FREED: c_int = 1024 * 1024;

/// Makes glibc's allocator fit a small server: one arena for all threads, and some freed memory kept (mallopt(3)).
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets parameters; it is called before another thread exists.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP_FREED);
    }
}

/// One object: its executable segments, which are mapped from the file, private, and never written.
#[allow(unsafe_code)] // called by the loader with a valid `info`; see each call
unsafe extern "C" fn give_back(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid description that lives as long as this call.
    let (object, segments) = unsafe {
        let object = &*info;
        (object, std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)))
    };
    for segment in segments {
        let is_code = segment.p_type == libc::PT_LOAD
            && segment.p_flags & libc::PF_X != 0
            && segment.p_flags & libc::PF_W == 0;
        if is_code
            && let Some((start, len)) = whole_pages(object.dlpi_addr + segment.p_vaddr, segment.p_memsz)
        {
            // SAFETY: whole pages of a read-only file mapping: madvise(2) drops what can be read again unchanged. A
            // failure changes nothing.
            unsafe {
                libc::madvise(start as *mut c_void, len, libc::MADV_DONTNEED);
            }
        }
    }
    0
}

/// The pages that lie wholly within: what shares a page with another segment is left alone.
fn whole_pages(address: u64, len: u64) -> Option<(usize, usize)> {
    let page = rustix::param::page_size() as u64;
    let start = address.next_multiple_of(page);
    let end = (address + len) / page * page;
    let len = usize::try_from(end.checked_sub(start)?).ok()?;
    (len > 0).then_some((usize::try_from(start).ok()?, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pages() {
        let page = rustix::param::page_size() as u64;
        assert_eq!(whole_pages(page - 1, page + 1), Some((page as usize, page as usize)));
        assert_eq!(whole_pages(1, page), None);
        assert_eq!(whole_pages(page, 0), None);
    }

    #[test]
    fn the_program_goes_on() {
        shrink();
        let again: Vec<u32> = (0..1000).rev().collect();
        assert_eq!(again.iter().max(), Some(&999));
    }
}
