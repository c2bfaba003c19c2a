//! A site at work for one test, and a client that reads answers byte by byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dormouse::config::Source;
use dormouse::site::{Live, Site};
use dormouse::{Engine, Settings, Sockets};

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A private folder, gone with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-site-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.join(name);
        std::fs::write(&file, text).expect("a file can be written");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A site that is being served. It falls asleep, and its thread ends, soon after the last request that counts.
pub struct Served {
    pub folder: Folder,
    engine: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves a config that has to be good.
    pub fn config(text: &str) -> Self {
        let folder = Folder::new();
        let source = Source::new(Some(&folder.write("site.toml", text)));
        let site = source.read().unwrap_or_else(|bad| panic!("{}", bad.summary())).site;
        Self::live(folder, Live::new(site, || None))
    }

    /// Serves a site made by hand.
    pub fn site(site: Site) -> Self {
        Self::live(Folder::new(), Live::new(site, || None))
    }

    pub fn live(folder: Folder, live: Live) -> Self {
        let path = folder.join("http.sock");
        let sockets = Sockets::default().or_bind(&format!("unix:{}", path.display())).expect("a fresh path");
        let mut settings = Settings::default();
        settings.sleep.after = Some(Duration::from_millis(300));
        settings.sleep.min_awake = Duration::from_secs(2);
        settings.sleep.grace = Duration::from_millis(10);
        let engine = Engine::new(sockets).settings(settings).sleep_unasked();
        let engine = thread::spawn(move || {
            engine.serve(live).expect("the engine starts");
        });
        Self { folder, engine: Some(engine) }
    }

    /// The answer to a request with these lines of head, `Host: h` and `Connection: close` added.
    pub fn ask(&self, head: &str) -> Answer {
        let mut stream = UnixStream::connect(self.folder.join("http.sock")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let host = if headers.to_lowercase().contains("host:") { "" } else { "Host: h\n" };
        let request =
            format!("{line} HTTP/1.1\n{host}{}Connection: close\n\n", lines(headers)).replace('\n', "\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}, {end:?}"));
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    /// Waits until it sleeps.
    pub fn asleep(mut self) {
        if let Some(engine) = self.engine.take() {
            engine.join().expect("it leaves in order");
        }
    }
}

fn lines(headers: &str) -> String {
    headers.lines().map(|line| format!("{line}\n")).collect()
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    head: String,
    pub body: String,
}

impl Answer {
    pub fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {self:?}"))
    }

    /// The header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
