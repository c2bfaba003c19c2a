//! Which file answers a request: itself, the index of a directory, a compressed sibling.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use super::coding::{Coding, Preference};
use super::media_type::MediaType;
use super::refusal::Refusal;
use super::segments::Place;
use super::tree::{Facts, Node, Patience, Tree};

/// What a directory is answered with.
const INDEX: &[u8] = b"index.html";

/// What a place holds.
pub enum Found {
    /// A file to send.
    File(FoundFile),
    /// A directory that was asked for without its slash.
    Redirect,
    /// A directory without an index.
    Directory(Tree),
}

/// A file to send.
pub struct FoundFile {
    /// Open for reading.
    pub file: OwnedFd,
    /// Of the very file that is sent: the sibling's, if it is one.
    pub facts: Facts,
    /// Type of the original.
    pub media_type: MediaType,
    /// Set for a compressed sibling.
    pub coding: Option<Coding>,
}

/// Finds what answers for a place.
pub fn find(
    root: &Path,
    place: &Place<'_>,
    codings: Preference,
    patience: Patience,
) -> Result<Found, Refusal> {
    let tree = Tree::open(root, patience).map_err(|error| Refusal::of_root(root, error))?;
    let below = |name: &[u8], error| Refusal::below(root, name, error);
    if !place.is_directory {
        return match tree.node(&place.path).map_err(|error| below(&place.path, error))? {
            Node::File(file, facts) => {
                with_siblings(&tree, &place.path, file, facts, codings).map(Found::File)
            }
            Node::Directory(_) => Ok(Found::Redirect),
        };
    }
    // The index at once: that the directory is one shows by it.
    let index = place.join(INDEX);
    match tree.node(&index) {
        Ok(Node::File(file, facts)) => with_siblings(&tree, &index, file, facts, codings).map(Found::File),
        Ok(Node::Directory(_)) | Err(Errno::NOENT) => Ok(Found::Directory(tree)),
        Err(Errno::NOTDIR) if place.path.is_empty() => find_operand(root, codings, patience).map(Found::File),
        Err(error) => Err(below(&index, error)),
    }
}

/// The route's operand is a file.
fn find_operand(root: &Path, codings: Preference, patience: Patience) -> Result<FoundFile, Refusal> {
    let tree = Tree::of_file(patience);
    let name = root.as_os_str().as_bytes();
    match tree.node(name).map_err(|error| Refusal::of_root(root, error))? {
        Node::File(file, facts) => with_siblings(&tree, name, file, facts, codings),
        // Replaced between two looks: the next request sees the directory.
        Node::Directory(_) => Err(Refusal::NOT_FOUND),
    }
}

/// The file, or the best sibling that the client takes.
fn with_siblings(
    tree: &Tree,
    path: &[u8],
    file: OwnedFd,
    facts: Facts,
    codings: Preference,
) -> Result<FoundFile, Refusal> {
    let media_type = MediaType::of(path);
    let codings = codings.into_iter().flatten().filter(|_| media_type.is_compressible);
    for coding in codings {
        let sibling = [path, coding.suffix().as_bytes()].concat();
        match tree.node(&sibling) {
            // In whole seconds, for not every compressor copies the rest of the time.
            Ok(Node::File(file, sibling)) if sibling.modified_secs >= facts.modified_secs => {
                return Ok(FoundFile { file, facts: sibling, media_type, coding: Some(coding) });
            }
            Err(Errno::AGAIN) => return Err(Refusal::WouldBlock),
            // None, stale, or not to be had: the original answers.
            _ => {}
        }
    }
    Ok(FoundFile { file, facts, media_type, coding: None })
}
