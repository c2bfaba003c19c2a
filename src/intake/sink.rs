//! Where an input goes: into memory, and from a certain size on into a file.

use std::io;
use std::mem;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::spool::SpoolFile;
use super::{Input, IntakeError, Spool};

/// So much goes to the disk at a time.
const PIECE: usize = 256 * 1024;

/// An input in the course of being taken in.
pub struct Sink<'a> {
    most_in_memory: usize,
    spool: Option<Spool<'a>>,
    to: To,
}

enum To {
    Memory(Vec<u8>),
    File(Writing),
}

/// A file that is written a piece at a time, while the next is being filled.
struct Writing {
    file: SpoolFile,
    size: u64,
    filling: Vec<u8>,
    /// The piece on its way, which comes back empty.
    under_way: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl<'a> Sink<'a> {
    pub fn new(most_in_memory: usize, spool: Option<Spool<'a>>) -> Self {
        Self { most_in_memory, spool, to: To::Memory(Vec::new()) }
    }

    /// Takes more of it.
    pub async fn take(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        let writing = match &mut self.to {
            To::File(writing) => writing,
            To::Memory(held) if held.len() + bytes.len() <= self.most_in_memory => {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            To::Memory(held) => {
                let held = mem::take(held);
                let Spool { folder, id } = self.spool.ok_or(IntakeError::TooLarge)?;
                let (folder, id) = (folder.clone(), id.to_owned());
                let file = spawn_blocking(move || folder.create(&id)).await.map_err(io::Error::other)??;
                self.to = To::File(Writing::new(file, held));
                let To::File(writing) = &mut self.to else { return Ok(()) };
                writing
            }
        };
        writing.take(bytes).await.map_err(IntakeError::from)
    }

    /// All of it has been taken: where it is now, and how large.
    pub async fn finish(self) -> Result<(Input, u64), IntakeError> {
        match self.to {
            To::Memory(held) => {
                let size = held.len() as u64;
                Ok((Input::Memory(Bytes::from(held)), size))
            }
            To::File(writing) => {
                let (file, size) = writing.finish().await?;
                Ok((Input::File(file), size))
            }
        }
    }
}

impl Writing {
    fn new(file: SpoolFile, held: Vec<u8>) -> Self {
        Self { file, size: held.len() as u64, filling: held, under_way: None }
    }

    async fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filling.len() >= PIECE {
                self.send().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE.saturating_sub(self.filling.len())));
            self.filling.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Sends what is filled on its way, once what went before it has arrived.
    async fn send(&mut self) -> io::Result<()> {
        let mut empty = self.arrived().await?;
        if empty.capacity() > 2 * PIECE {
            empty = Vec::new(); // it was what was held in memory, which may be more
        }
        empty.reserve_exact(PIECE);
        let mut piece = mem::replace(&mut self.filling, empty);
        let file = self.file.writer();
        self.under_way = Some(spawn_blocking(move || {
            io::Write::write_all(&mut &*file, &piece)?;
            piece.clear();
            Ok(piece)
        }));
        Ok(())
    }

    async fn arrived(&mut self) -> io::Result<Vec<u8>> {
        match self.under_way.take() {
            Some(piece) => piece.await.map_err(io::Error::other)?,
            None => Ok(Vec::new()),
        }
    }

    async fn finish(mut self) -> io::Result<(SpoolFile, u64)> {
        if !self.filling.is_empty() {
            self.send().await?;
        }
        self.arrived().await?;
        Ok((self.file, self.size))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    /// A sink that is past memory already, and whose disk is full.
    fn full() -> Sink<'static> {
        let device = File::options().write(true).open("/dev/full").unwrap();
        let file = SpoolFile::over(device);
        Sink { most_in_memory: 0, spool: None, to: To::File(Writing::new(file, Vec::new())) }
    }

    #[test]
    fn a_full_disk_is_told_apart_whenever_it_shows() {
        let small = run(async {
            let mut sink = full();
            sink.take(b"small").await.unwrap();
            sink.finish().await.unwrap_err()
        });
        assert!(matches!(small, IntakeError::NoSpace(_)), "{small}");
        let large = run(async {
            let mut sink = full();
            sink.take(&vec![0; 8 * PIECE]).await.unwrap_err()
        });
        assert!(matches!(large, IntakeError::NoSpace(_)), "{large}");
        assert_eq!(large.status(), hyper::StatusCode::INSUFFICIENT_STORAGE);
    }

    #[test]
    fn what_is_held_does_not_grow_with_what_comes_at_once() {
        let device = File::options().write(true).open("/dev/null").unwrap();
        let mut writing = Writing::new(SpoolFile::over(device), vec![1; 5 * PIECE]);
        run(async {
            for _ in 0..20 {
                writing.take(&vec![2; 3 * PIECE + 1]).await.unwrap();
                assert!(writing.filling.len() <= PIECE && writing.filling.capacity() <= 2 * PIECE);
            }
            let (_, size) = writing.finish().await.unwrap();
            assert_eq!(size, (5 * PIECE + 20 * (3 * PIECE + 1)) as u64);
        });
    }
}
