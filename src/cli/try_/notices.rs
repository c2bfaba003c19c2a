//! What the child tells its service manager (sd_notify(3)).

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvFlags};

/// More than sd_notify messages are; what is longer is cut.
const LONGEST_MESSAGE: usize = 4096;
/// More files than anybody sends with a message; the kernel closes the rest.
const MOST_FILES: usize = 16;

/// What matters here of all that can be said.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// `READY=1`.
    Ready,
}

/// The socket that `NOTIFY_SOCKET` names.
pub struct NoticeSocket(UnixDatagram);

impl NoticeSocket {
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the socket {}: {error}", path.display()))
        })?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// All that has been said since the last time.
    pub fn take(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut message = [0; LONGEST_MESSAGE];
        while let Ok(length) = self.receive(&mut message) {
            notices.extend(parse(&message[..length]));
        }
        notices
    }

    /// One message. Files that came with it are closed, which is the answer to `BARRIER=1`.
    fn receive(&self, message: &mut [u8]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut files = RecvAncillaryBuffer::new(&mut space);
        let mut message = [IoSliceMut::new(message)];
        rustix::net::recvmsg(&self.0, &mut message, &mut files, RecvFlags::CMSG_CLOEXEC)
            .map(|received| received.bytes)
    }
}

impl AsFd for NoticeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Assignments, one a line; those that are of no interest are skipped.
fn parse(message: &[u8]) -> impl Iterator<Item = Notice> {
    message.split(|byte| *byte == b'\n').filter_map(|assignment| match assignment {
        b"READY=1" => Some(Notice::Ready),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::super::folder::Folder;
    use super::*;

    fn pair() -> (Folder, NoticeSocket, UnixDatagram) {
        let folder = Folder::create().expect("a folder");
        let socket = NoticeSocket::bind(&folder.notify_socket()).expect("a socket");
        let sender = UnixDatagram::unbound().expect("another");
        sender.connect(folder.notify_socket()).expect("it is there");
        (folder, socket, sender)
    }

    #[test]
    fn ready_is_found_among_other_assignments() {
        let (_folder, socket, sender) = pair();
        assert_eq!(socket.take(), []);
        for message in ["STATUS=awake\nREADY=1", "STATUS=READY=1\nREADY=0", "READY=1\n", ""] {
            sender.send(message.as_bytes()).expect("it is taken");
        }
        assert_eq!(socket.take(), [Notice::Ready, Notice::Ready]);
    }

    #[test]
    fn a_barrier_is_answered() {
        let (_folder, socket, sender) = pair();
        let (mut ours, theirs) = io::pipe().expect("a pipe");
        let files = [theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
        let message = [io::IoSlice::new(b"BARRIER=1")];
        rustix::net::sendmsg(&sender, &message, &mut control, SendFlags::empty()).expect("it is taken");
        drop(theirs);
        assert_eq!(socket.take(), []);
        assert_eq!(ours.read(&mut [0]).expect("the other end is closed"), 0);
    }
}
