//! The last step of starting a program: its `LISTEN_PID`, which must name the very process that uses the sockets
//! (sd_listen_fds(3)), is known between clone and exec only, where nothing may be allocated. So all that execve(2) wants
//! is laid out before, with room for the number.

use std::ffi::{CString, NulError, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;

const LISTEN_PID: &[u8] = b"LISTEN_PID=";
/// The digits of any process id, and the NUL after them.
const LONGEST_ID: usize = 11;

/// A program, its arguments and its environment, as execve(2) takes them.
pub struct Image {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Only with sockets.
    listen_pid: Option<[u8; LISTEN_PID.len() + LONGEST_ID]>,
    pointers: Pointers,
}

/// Room for the two lists, each with a null pointer at its end; filled just before they are used.
struct Pointers {
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
}

// SAFETY: nulls until the only one who uses them fills them in.
#[allow(unsafe_code)]
unsafe impl Send for Pointers {}
// SAFETY: as above; nobody reads them through a shared reference.
#[allow(unsafe_code)]
unsafe impl Sync for Pointers {}

impl Image {
    /// Lays it out. `has_sockets` adds `LISTEN_PID`.
    pub fn new(
        program: PathBuf,
        arguments: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        has_sockets: bool,
    ) -> Result<Self, NulError> {
        let arguments = arguments.iter().map(|argument| CString::new(argument.clone().into_vec()));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let variable = |(name, value): (OsString, OsString)| {
            CString::new([name.into_vec(), value.into_vec()].join(&b'='))
        };
        let environment = environment.into_iter().map(variable).collect::<Result<Vec<_>, _>>()?;
        let pointers = Pointers {
            arguments: vec![ptr::null(); arguments.len() + 1],
            environment: vec![ptr::null(); environment.len() + usize::from(has_sockets) + 1],
        };
        let listen_pid = has_sockets.then_some([0; LISTEN_PID.len() + LONGEST_ID]);
        let program = CString::new(program.into_os_string().into_vec())?;
        Ok(Self { program, arguments, environment, listen_pid, pointers })
    }

    /// Becomes the program; returns only when that fails. It neither allocates nor locks.
    pub fn become_it(&mut self) -> io::Error {
        close_others(if self.listen_pid.is_some() { 4 } else { 3 });
        if let Some(variable) = &mut self.listen_pid {
            write_listen_pid(variable, std::process::id());
        }
        let listen_pid = self.listen_pid.iter().map(|variable| variable.as_ptr().cast());
        fill(&mut self.pointers.arguments, self.arguments.iter().map(|argument| argument.as_ptr()));
        let environment = self.environment.iter().map(|variable| variable.as_ptr());
        fill(&mut self.pointers.environment, environment.chain(listen_pid));
        // SAFETY: strings that end with NUL and lists that end with null; they live in `self`.
        #[allow(unsafe_code)]
        unsafe {
            let Pointers { arguments, environment } = &self.pointers;
            libc::execve(self.program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        io::Error::last_os_error()
    }
}

/// Ours are close-on-exec; what whoever started us has left open is no program's business either. It has no effect
/// before Linux 5.11, as then nobody can do it without a list of all.
fn close_others(first: libc::c_uint) {
    // SAFETY: a system call on numbers; nothing is closed before exec.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Puts them in their places; the null at the end stays.
fn fill(places: &mut [*const c_char], pointers: impl Iterator<Item = *const c_char>) {
    for (place, pointer) in places.iter_mut().zip(pointers) {
        *place = pointer;
    }
}

/// Writes the whole variable; what is left are NULs. No formatting: that might allocate.
fn write_listen_pid(variable: &mut [u8; LISTEN_PID.len() + LONGEST_ID], id: u32) {
    let digits = id.checked_ilog10().map_or(1, |log| log as usize + 1);
    variable[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
    let mut rest = id;
    for place in variable[LISTEN_PID.len()..][..digits].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_of_any_length_has_room() {
        for id in [0, 1, 9, 10, 4_194_304, u32::MAX] {
            let mut variable = [0; LISTEN_PID.len() + LONGEST_ID];
            write_listen_pid(&mut variable, id);
            let text =
                std::ffi::CStr::from_bytes_until_nul(&variable).expect("a NUL").to_str().expect("text");
            assert_eq!(text, format!("LISTEN_PID={id}"));
        }
    }

    #[test]
    fn a_nul_is_refused_before_anything_runs() {
        let nul = || OsString::from("a\0b");
        assert!(Image::new("/bin/true".into(), &[nul()], [], false).is_err());
        assert!(Image::new("/bin/true".into(), &[], [("A".into(), nul())], false).is_err());
    }
}
