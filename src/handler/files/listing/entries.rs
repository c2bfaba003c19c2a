//! Reading a directory: what of it may be asked for, in the order people look for it.

use std::borrow::Cow;
use std::cmp::Ordering;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use rustix::io::{Errno, Result};

use crate::handler::files::segments::{Place, is_servable};
use crate::handler::files::tree::{Node, Tree};

/// A longer list helps nobody, and its page would need too much memory.
const MOST_ENTRIES: usize = 10_000;

/// What may stand in a link as it is (RFC 3986, unreserved).
const LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a directory holds: directories first, then by name.
#[derive(Debug)]
pub struct Entries {
    /// At most [`MOST_ENTRIES`].
    pub list: Vec<Entry>,
    /// Whether there are more; which ones are missing is up to the file system.
    pub is_cut: bool,
}

/// A file or directory that may be asked for.
#[derive(Debug)]
pub struct Entry {
    /// As bytes: a name need not be UTF-8.
    name: Vec<u8>,
    /// Length of a file in bytes; `None` for a directory.
    pub size: Option<u64>,
    /// Seconds since 1970.
    pub modified_secs: i64,
}

impl Entries {
    /// Reads the directory at a place.
    pub fn read(tree: &Tree, place: &Place<'_>) -> Result<Self> {
        let Node::Directory(directory) = tree.node(&place.path)? else { return Err(Errno::NOTDIR) };
        let mut list = Vec::new();
        let mut is_cut = false;
        for found in Dir::read_from(&directory)? {
            let found = found?;
            let name = found.file_name();
            if !is_servable(name.to_bytes(), false) {
                continue;
            }
            if list.len() == MOST_ENTRIES {
                is_cut = true;
                break;
            }
            // Gone meanwhile, or not to be followed: no entry.
            let Ok(mut stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                let Ok(target) = tree.stat(&place.join(name.to_bytes())) else { continue };
                stat = target;
            }
            list.extend(Entry::new(name.to_bytes(), &stat));
        }
        list.sort_unstable_by(Entry::compare);
        Ok(Self { list, is_cut })
    }
}

impl Entry {
    /// `None` for what is neither a file nor a directory.
    fn new(name: &[u8], stat: &Stat) -> Option<Self> {
        let size = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => None,
            _ => return None,
        };
        Some(Self { name: name.to_vec(), size, modified_secs: stat.st_mtime })
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.size.is_none()
    }

    /// The name as people read it.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// A link to it from the directory's own page. It begins with `./`, so that no name is taken for a scheme.
    pub fn link(&self) -> String {
        let slash = if self.is_directory() { "/" } else { "" };
        format!("./{}{slash}", percent_encode(&self.name, LINK))
    }

    fn compare(&self, other: &Self) -> Ordering {
        other.is_directory().cmp(&self.is_directory()).then_with(|| self.name.cmp(&other.name))
    }
}
