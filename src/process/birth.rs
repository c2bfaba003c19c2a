//! The first steps of a process: from a clone of this one to the program it becomes.
//!
//! fork(2) would copy the tables of all our memory, and every page that either of the two writes until then; that takes
//! longer than all the rest of a short command. So the child borrows our memory, as that of posix_spawn(3) does, with a
//! stack of its own, and this thread waits until it has become the program. (posix_spawn itself cannot see to it that the
//! program is killed when we are.)

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, kill_process,
    set_parent_process_death_signal, setpriority_process, setrlimit, waitpid,
};

use super::exec::Image;

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
const FIRST_PASSED: RawFd = 3;

/// Far more than its few calls take, each of them a system call. Only what is used of it costs anything.
const STACK_BYTES: usize = 64 * 1024;

/// All that the child is given; it cannot allocate anything, and has to leave everything else as it is.
pub struct Birth<'a> {
    /// What it becomes.
    pub image: Image,
    /// Where it runs.
    pub dir: CString,
    /// Its stdin, stdout and stderr; none of them is one of ours.
    pub streams: [BorrowedFd<'a>; 3],
    /// Its descriptor 3.
    pub socket: Option<BorrowedFd<'a>>,
    /// How many descriptors it may have open; `None`: as many as we.
    pub files: Option<Rlimit>,
    /// Its priority from its first instruction on. Whether that may be its parent sees.
    pub nice: Option<i32>,
}

/// What parent and child have in common.
struct Common<'a> {
    birth: Birth<'a>,
    parent: Pid,
    /// The signals that are blocked in the program: those that were in us.
    mask: libc::sigset_t,
    /// Why it could not become the program.
    error: Option<i32>,
}

impl Birth<'_> {
    /// Starts it, in a process group of its own; it is killed when this thread ends. Its id, and a descriptor that stays
    /// its own.
    ///
    /// # Errors
    /// When it cannot be started; nothing is left of it then.
    pub fn give(self) -> io::Result<(Pid, OwnedFd)> {
        // A handler of ours is not to run in the child, on memory that is ours.
        let mask = block_signals();
        let mut common = Common { birth: self, parent: getpid(), mask, error: None };
        let cloned = common.clone_us();
        unblock_signals(&mask);
        let (pid, pidfd) = cloned?;
        match common.error {
            None => Ok((pid, pidfd)),
            Some(error) => {
                let _ = waitpid(Some(pid), WaitOptions::empty()); // it is about to be gone
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

impl Common<'_> {
    /// Returns when the child has become the program, or has failed to.
    fn clone_us(&mut self) -> io::Result<(Pid, OwnedFd)> {
        let mut stack = Vec::<MaybeUninit<u128>>::with_capacity(STACK_BYTES / size_of::<u128>());
        let top = stack.spare_capacity_mut().as_mut_ptr_range().end; // it grows downwards, from an aligned end
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mut pidfd: RawFd = -1;
        // SAFETY: this thread stands still while the child has its memory: `self` and the stack outlive that. The child
        // runs nothing but `begin`.
        #[allow(unsafe_code)]
        let pid = unsafe {
            libc::clone(begin, top.cast(), flags, ptr::from_mut(self).cast(), ptr::from_mut(&mut pidfd))
        };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?; // 0 is for the child of fork(2) alone
        if pidfd < 0 {
            // A kernel before 5.2 takes the flag for nothing.
            let _ = kill_process(pid, Signal::KILL).and_then(|()| waitpid(Some(pid), WaitOptions::empty()));
            return Err(Errno::NOSYS.into());
        }
        // SAFETY: the kernel has just made it (CLONE_PIDFD), for us alone.
        #[allow(unsafe_code)]
        Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
    }

    /// Becomes the program; returns only when that fails. Nothing here allocates, locks or panics.
    fn become_it(&mut self) -> io::Error {
        match self.prepare() {
            Ok(()) => self.birth.image.become_it(),
            Err(error) => error,
        }
    }

    fn prepare(&self) -> io::Result<()> {
        rustix::process::setpgid(None, None)?;
        for (own, stream) in (0..).zip(self.birth.streams) {
            move_to(stream, own)?;
        }
        if let Some(socket) = self.birth.socket {
            move_to(socket, FIRST_PASSED)?;
        }
        rustix::process::chdir(self.birth.dir.as_c_str())?;
        if let Some(files) = self.birth.files {
            let _ = setrlimit(Resource::Nofile, files); // a sandbox may forbid it
        }
        if let Some(nice) = self.birth.nice {
            let _ = setpriority_process(None, nice);
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.parent) {
            return Err(io::ErrorKind::NotFound.into()); // it ended before that, and nobody reads this
        }
        forget_handlers();
        unblock_signals(&self.mask);
        Ok(())
    }
}

/// The child.
extern "C" fn begin(common: *mut c_void) -> c_int {
    // SAFETY: it is what `clone_us` has lent, and nobody else looks at it meanwhile.
    #[allow(unsafe_code)]
    let common = unsafe { &mut *common.cast::<Common<'_>>() };
    common.error = Some(common.become_it().raw_os_error().unwrap_or(libc::EIO));
    127
}

/// Makes it that descriptor, open across exec.
fn move_to(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    // SAFETY: system calls on numbers, in a process that has nothing of its own yet.
    #[allow(unsafe_code)]
    let result = unsafe {
        match from.as_raw_fd() {
            from if from == to => libc::fcntl(from, libc::F_SETFD, 0), // dup2 would leave it close-on-exec
            from => libc::dup2(from, to),
        }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Blocks all signals of this thread; which were blocked before.
fn block_signals() -> libc::sigset_t {
    // SAFETY: two sets of signals, both written before they are read.
    #[allow(unsafe_code)]
    unsafe {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::<libc::sigset_t>::zeroed());
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

/// Blocks these alone.
fn unblock_signals(mask: &libc::sigset_t) {
    // SAFETY: a set of signals, from `block_signals`.
    #[allow(unsafe_code)]
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut());
    }
}

/// As exec(2) does, but before signals are let in. What was ignored stays so, but for SIGPIPE, which Rust has chosen to
/// ignore, and nobody else.
fn forget_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: an action that was read, and one that is all zeros: the default.
        #[allow(unsafe_code)]
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            // It fails for those that are the C library's own.
            if libc::sigaction(signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction != libc::SIG_DFL
                && (action.sa_sigaction != libc::SIG_IGN || signal == libc::SIGPIPE)
            {
                let default = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                libc::sigaction(signal, &raw const default, ptr::null_mut());
            }
        }
    }
}
