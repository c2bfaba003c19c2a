//! What a job prints: lines in a file, each with the number of its stream before it, as many as are kept.

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Jobs;
use super::attempt::Attempt;
use super::progress;
use crate::process::{Line, Source};
use crate::store::JobId;

/// How many lines are written at once, at most.
const AT_ONCE: usize = 256;

/// How much of a file is read at once, in bytes.
const READ: u64 = 64 * 1024;

/// The end of what is kept of an output that is longer.
const CUT: &[u8] =
    b"2the output is longer than is kept (see `output` of the route); what follows is left out\n";

/// Takes a job's lines until there are none, and keeps the first of them.
pub(super) async fn keep(
    jobs: Arc<Jobs>,
    id: JobId,
    attempt: Arc<Attempt>,
    mut lines: mpsc::Receiver<Line>,
    most: u64,
) {
    let mut writer = Some(Writer { path: jobs.output(id), most, file: None });
    let mut batch = Vec::new();
    while lines.recv_many(&mut batch, AT_ONCE).await > 0 {
        let progress = batch.iter().rev().filter(|line| line.source == Source::Stdout);
        if let Some(progress) = progress.map(|line| &line.bytes).find_map(|line| progress::parse(line)) {
            attempt.set_progress(progress);
        }
        let lines = std::mem::take(&mut batch);
        if let Some(to) = writer.take() {
            // It fails only if the runtime ends, and everything with it.
            writer = spawn_blocking(move || to.write(&lines)).await.unwrap_or_default();
        }
        jobs.told(id);
    }
}

/// Writes to one file, until that is full.
struct Writer {
    path: PathBuf,
    most: u64,
    file: Option<(File, u64)>,
}

impl Writer {
    /// Writes these lines; nothing is left of it when no more can be kept.
    fn write(mut self, lines: &[Line]) -> Option<Self> {
        match self.try_write(lines) {
            Ok(true) => Some(self),
            Ok(false) => None,
            Err(error) => {
                tracing::error!(%error, "the output of a job is kept no further in {}: {error}", self.path.display());
                None
            }
        }
    }

    fn try_write(&mut self, lines: &[Line]) -> io::Result<bool> {
        let (file, length) = match &mut self.file {
            Some(open) => open,
            none => none.insert(open(&self.path)?),
        };
        let mut text = Vec::new();
        let mut has_room = *length < self.most;
        for line in lines {
            if *length + text.len() as u64 + line.bytes.len() as u64 + 2 > self.most {
                if has_room {
                    text.extend_from_slice(CUT);
                }
                has_room = false;
                break;
            }
            text.push(if line.source == Source::Stdout { b'1' } else { b'2' });
            text.extend_from_slice(&line.bytes);
            text.push(b'\n');
        }
        if let Err(error) = file.write_all(&text) {
            let _ = file.set_len(*length); // no half a line
            return Err(error);
        }
        *length += text.len() as u64;
        Ok(has_room)
    }
}

/// Opens a file to write more; what an earlier process may have left half is taken off.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    options.create(true).read(true).append(true).mode(0o600);
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            options.open(path)?
        }
        other => other?,
    };
    let whole = whole_lines(&file)?;
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// Where its last whole line ends.
fn whole_lines(mut file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(READ);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut file, READ), &mut end)?;
    Ok(memchr::memrchr(b'\n', &end).map_or(0, |at| start + at as u64 + 1))
}

/// A line that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What was printed.
    pub line: Line,
    /// Where the next one begins.
    pub next: u64,
}

/// Reads what was kept, from anywhere.
#[derive(Clone, Debug)]
pub struct Reader {
    path: PathBuf,
    /// Where the next line begins.
    pub at: u64,
    /// Whether it has come to where it says that no more was kept.
    pub is_cut: bool,
}

impl Reader {
    /// Reads a job's file from a place where a line begins.
    pub fn new(path: PathBuf, at: u64) -> Self {
        Self { path, at, is_cut: false }
    }

    /// Reads the last lines of it, so many bytes at most.
    pub async fn of_end(path: PathBuf, most: u64) -> Self {
        let at = spawn_blocking({
            let path = path.clone();
            move || line_near_end(&path, most)
        });
        let at = at.await.map_err(io::Error::other).flatten().unwrap_or_default(); // a file that is not there has no end
        Self::new(path, at)
    }

    /// The next lines, of so many bytes or so; none when there are no more at present.
    pub async fn next(&mut self) -> io::Result<Vec<Kept>> {
        let (path, at) = (self.path.clone(), self.at);
        let (lines, follows_cut) =
            spawn_blocking(move || read(&path, at)).await.map_err(io::Error::other)??;
        self.is_cut = follows_cut;
        if let Some(last) = lines.last() {
            self.at = last.next;
        }
        Ok(lines)
    }
}

/// The first line that begins within the last `most` bytes.
fn line_near_end(path: &Path, most: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let Some(start) = file.metadata()?.len().checked_sub(most).filter(|start| *start > 0) else {
        return Ok(0);
    };
    file.seek(SeekFrom::Start(start - 1))?;
    // From the byte before, which may be the end of a line.
    let skipped = BufReader::new(file).skip_until(b'\n')?;
    Ok(start - 1 + skipped as u64)
}

/// The lines from here on, some of them, and whether what is before them is [`CUT`].
fn read(path: &Path, mut at: u64) -> io::Result<(Vec<Kept>, bool)> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
        opened => opened?,
    };
    let mut before = Vec::new();
    let start = at.saturating_sub(CUT.len() as u64);
    file.seek(SeekFrom::Start(start))?;
    io::Read::read_to_end(&mut io::Read::take(&mut file, at - start), &mut before)?;
    // Where nobody said that a line begins, there is none.
    if at > 0 && (before.len() as u64 != at - start || !before.ends_with(b"\n")) {
        return Ok((Vec::new(), false));
    }
    let follows_cut = before == CUT;
    let mut file = BufReader::new(io::Read::take(file, READ));
    let mut lines = Vec::new();
    loop {
        let mut text = Vec::new();
        let count = file.read_until(b'\n', &mut text)?;
        if text.pop() != Some(b'\n') {
            return Ok((lines, follows_cut));
        }
        at += count as u64;
        let source = if text.first() == Some(&b'2') { Source::Stderr } else { Source::Stdout };
        let bytes = text.get(1..).unwrap_or_default().to_vec();
        lines.push(Kept { line: Line { source, bytes }, next: at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: Source, text: &str) -> Line {
        Line { source, bytes: text.as_bytes().to_vec() }
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("dormouse-output-{name}-{}", std::process::id()))
    }

    fn all(path: &Path, at: u64) -> Vec<(String, u64)> {
        let text = |kept: Kept| (String::from_utf8(kept.line.bytes).expect("text"), kept.next);
        read(path, at).expect("a file").0.into_iter().map(text).collect()
    }

    #[test]
    fn lines_come_back_from_anywhere_a_line_begins() {
        let path = path("anywhere");
        let writer = Writer { path: path.clone(), most: 1000, file: None };
        let lines = [line(Source::Stdout, "one"), line(Source::Stderr, ""), line(Source::Stdout, "three")];
        writer.write(&lines).expect("room");
        let (read, _) = super::read(&path, 0).expect("a file");
        assert_eq!(read.iter().map(|kept| kept.line.clone()).collect::<Vec<_>>(), lines);
        assert_eq!(all(&path, 5), [(String::new(), 7), ("three".into(), 14)]);
        assert_eq!(all(&path, 14), []);
        assert_eq!(all(&path, 6), [], "no line begins there");
        assert_eq!(all(&path, 1 << 40), []);
        std::fs::remove_file(&path).expect("a file");
        assert_eq!(all(&path, 0), []);
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let path = path("most");
        let writer = Writer { path: path.clone(), most: 10, file: None };
        let writer = writer.write(&[line(Source::Stdout, "1234")]).expect("room");
        assert!(writer.write(&[line(Source::Stdout, "56789")]).is_none());
        let lines = all(&path, 0);
        assert_eq!((lines.len(), lines[0].0.as_str()), (2, "1234"));
        assert!(lines[1].0.contains("left out"));
        assert!(!read(&path, lines[0].1).expect("a file").1);
        assert!(read(&path, lines[1].1).expect("a file").1, "whoever goes on there knows it too");
        std::fs::remove_file(&path).expect("a file");
    }

    #[test]
    fn the_end_begins_with_a_line() {
        let path = path("end");
        std::fs::write(&path, "1one\n1two\n1three\n").expect("a file");
        for (most, at) in [(100, 0), (17, 0), (16, 5), (12, 5), (11, 10), (7, 10), (6, 17), (0, 17)] {
            assert_eq!(line_near_end(&path, most).expect("a file"), at, "{most}");
        }
        std::fs::remove_file(&path).expect("a file");
        line_near_end(&path, 1).expect_err("no file");
    }

    #[test]
    fn half_a_line_of_an_earlier_process_goes() {
        let path = path("half");
        std::fs::write(&path, "1whole\n1hal").expect("a file");
        let writer = Writer { path: path.clone(), most: 1000, file: None };
        writer.write(&[line(Source::Stdout, "more")]).expect("room");
        assert_eq!(all(&path, 0).into_iter().map(|(text, _)| text).collect::<Vec<_>>(), ["whole", "more"]);
        std::fs::remove_file(&path).expect("a file");
    }
}
