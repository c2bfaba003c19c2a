//! Opening what lies below a root, and nothing else: the kernel checks every step (openat2(2), `RESOLVE_BENEATH`), so
//! no symlink leads out, whoever renames what meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::{Errno, Result};

/// The kernel may ask for another try when names change under its feet; a few are enough on any sane disk.
const MOST_TRIES: usize = 16;

/// Whether a look-up may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// On the serving thread: only what the kernel has in memory, else [`Errno::AGAIN`].
    None,
    /// On the blocking pool.
    Full,
}

/// A root directory, held open for one request. It is opened anew for each: a deploy that swaps directories or symlinks
/// is seen at once, and that costs one microsecond (a cached descriptor that is checked costs half of it).
pub struct Tree {
    base: Base,
    patience: Patience,
}

enum Base {
    /// Names are looked up below this directory.
    Directory(OwnedFd),
    /// The route's operand is itself a file: its name, as the config has it, goes wherever it leads.
    File,
}

/// What a name led to.
pub enum Node {
    /// A regular file, open for reading.
    File(OwnedFd, Facts),
    /// A directory, open for reading.
    Directory(OwnedFd),
}

/// What tells versions of a file apart.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Whole seconds since 1970.
    pub modified_secs: i64,
    /// The nanoseconds on top of them.
    pub modified_nanos: u64,
    /// Length in bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
}

impl Tree {
    /// Opens a root directory.
    pub fn open(root: &Path, patience: Patience) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = open(CWD, root.as_os_str().as_bytes(), flags, ResolveFlags::empty(), patience)?;
        Ok(Self { base: Base::Directory(root), patience })
    }

    /// The tree of a root that is a file: a single name, the root's own path, and its siblings.
    pub fn of_file(patience: Patience) -> Self {
        Self { base: Base::File, patience }
    }

    /// Opens a file or directory. `ENOENT` for what is neither.
    pub fn node(&self, path: &[u8]) -> Result<Node> {
        // Non-blocking, for a FIFO would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = self.open_at(path, flags)?;
        let stat = fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Node::File(fd, Facts::from(&stat))),
            FileType::Directory => Ok(Node::Directory(fd)),
            _ => Err(Errno::NOENT),
        }
    }

    /// What a name leads to, without opening it for reading.
    pub fn stat(&self, path: &[u8]) -> Result<Stat> {
        fstat(self.open_at(path, OFlags::PATH | OFlags::CLOEXEC)?)
    }

    fn open_at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        match &self.base {
            Base::Directory(root) => open(root.as_fd(), path, flags, ResolveFlags::BENEATH, self.patience),
            Base::File => open(CWD, path, flags, ResolveFlags::empty(), self.patience),
        }
    }
}

fn open(
    at: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    how: ResolveFlags,
    patience: Patience,
) -> Result<OwnedFd> {
    let how = how | ResolveFlags::NO_MAGICLINKS;
    match patience {
        Patience::None => openat2(at, path, flags, Mode::empty(), how | ResolveFlags::CACHED)
            // Linux before 5.12 does not know the flag.
            .map_err(|error| if error == Errno::INVAL { Errno::AGAIN } else { error }),
        Patience::Full => (1..MOST_TRIES)
            .find_map(|_| {
                let opened = openat2(at, path, flags, Mode::empty(), how);
                (!matches!(opened, Err(Errno::AGAIN | Errno::INTR))).then_some(opened)
            })
            .unwrap_or(Err(Errno::AGAIN)),
    }
}

impl From<&Stat> for Facts {
    fn from(stat: &Stat) -> Self {
        Self {
            modified_secs: stat.st_mtime,
            modified_nanos: stat.st_mtime_nsec,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            inode: stat.st_ino,
        }
    }
}
