//! What the process keeps of the machine's memory once it is up.
//!
//! Starting runs code that serving never runs again: arguments, TOML, the loader. The kernel maps it in blocks of 64 KiB
//! and counts every page as resident. Given back after the start, what is still used comes again from the page cache,
//! a block for a minor fault; the rest stays away.

use std::ffi::{c_int, c_void};

/// Gives back the mapped pages of the program's code and its libraries'. They are clean copies of files, so nothing is
/// lost; a few dozen minor faults follow.
pub fn give_back_code() {
    // SAFETY: `give_back` matches the signature dl_iterate_phdr(3) asks for, and uses no data.
    #[allow(unsafe_code)]
    unsafe {
        libc::dl_iterate_phdr(Some(give_back), std::ptr::null_mut());
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
        give_back_code();
        let again: Vec<u32> = (0..1000).rev().collect();
        assert_eq!(again.iter().max(), Some(&999));
    }
}
