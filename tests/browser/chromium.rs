//! Chromium without a window, driven by the DevTools protocol over a pair of pipes, each message with a NUL behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::harness::Folder;

/// It starts slowly on a busy machine; everything after that is quick.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Debian calls it, and others.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Where it reads and writes (`--remote-debugging-pipe`).
const PIPES: [i32; 2] = [3, 4];

/// Notes every value that a progress bar ever has, by its id.
const NOTES: &str = "window.seen = {};
new MutationObserver((changes) => changes.forEach(({ target }) => (seen[target.id] ??= []).push(target.value)))
    .observe(document, { subtree: true, attributeFilter: ['value'] });";

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: File,
    from: File,
    read: Vec<u8>,
    calls: u64,
    session: Option<String>,
    _profile: Folder,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// An empty page; `None`, and why, if there is no browser.
    pub fn start() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(()); // several at once are slower than one after the other
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = NAMES.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
        else {
            // `tests/run` allows no such thing.
            let why = "there is no browser (apt install chromium)";
            assert!(std::env::var_os("DORMOUSE_ALL").is_none(), "{why}");
            println!("skipped: {why}");
            return None;
        };
        let profile = Folder::new();
        let (to, from, process) = start(name, &profile.join("profile"));
        let mut browser = Self {
            process,
            to,
            from,
            read: Vec::new(),
            calls: 0,
            session: None,
            _profile: profile,
            _turn: turn,
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let session =
            browser.call("Target.attachToTarget", json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "DOM.enable", "Network.enable"] {
            browser.call(domain, json!({}));
        }
        browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTES }));
        Some(browser)
    }

    /// Calls a method of the protocol; what it says if it fails.
    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("it listens");
        loop {
            let mut answer = self.message();
            if answer["id"] == self.calls {
                let result = answer["result"].take();
                return if result.is_null() { Err(answer) } else { Ok(result) };
            }
        }
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn message(&mut self) -> Value {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).expect("json");
            }
            let patience = Timespec::try_from(PATIENCE).expect("in range");
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "the browser says nothing");
            let mut piece = vec![0; 1 << 16];
            let length = self.from.read(&mut piece).expect("it is there");
            assert!(length > 0, "the browser has ended");
            self.read.extend_from_slice(&piece[..length]);
        }
    }

    /// Goes to an address.
    pub fn open(&mut self, address: &str) {
        let went = self.call("Page.navigate", json!({ "url": address }));
        assert!(went["errorText"].is_null(), "{address}: {went}");
        self.until("document.readyState === 'complete'");
    }

    /// What an expression of the page's is.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// The text of an element, without space around it.
    pub fn text(&mut self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById({id:?}).textContent.trim()"));
        text.as_str().expect("a text").to_owned()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            if Instant::now() > deadline {
                let page = self.value("document.documentElement.outerHTML");
                panic!("not within the time: {expression}; the page: {page}");
            }
            std::thread::sleep(Duration::from_millis(10)); // a poll with a deadline
        }
    }

    /// The values that a progress bar has had, neither nothing nor all.
    pub fn between(&mut self, id: &str) -> Vec<f64> {
        let seen = self.value(&format!("seen[{id:?}] ?? []"));
        let all = seen.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number"));
        all.filter(|value| *value > 0.0 && *value < 100.0).collect()
    }

    /// The markup of an element, also where the page may run no script; `None` if there is none (yet).
    pub fn markup(&mut self, selector: &str) -> Option<String> {
        let node = self.node(selector)?;
        let markup = self.try_call("DOM.getOuterHTML", json!({ "nodeId": node })).ok()?;
        markup["outerHTML"].as_str().map(str::to_owned)
    }

    fn node(&mut self, selector: &str) -> Option<Value> {
        let document = self.try_call("DOM.getDocument", json!({})).ok()?;
        let found = json!({ "nodeId": document["root"]["nodeId"], "selector": selector });
        let found = self.try_call("DOM.querySelector", found).ok()?["nodeId"].take();
        (found != 0).then_some(found)
    }

    /// Chooses a file for a form.
    pub fn choose(&mut self, selector: &str, file: &Path) {
        let node = self.node(selector).expect("a field for a file");
        self.call("DOM.setFileInputFiles", json!({ "files": [file], "nodeId": node }));
    }

    /// Clicks in the middle of an element, as people do.
    pub fn click(&mut self, selector: &str) {
        let node = self.node(selector).unwrap_or_else(|| panic!("there is no {selector}"));
        let quad = self.call("DOM.getContentQuads", json!({ "nodeId": node }))["quads"][0].take();
        let middle = |at: usize| (quad[at].as_f64().zip(quad[at + 4].as_f64())).map(|(a, b)| (a + b) / 2.0);
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": middle(0), "y": middle(1), "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Sends no more than so many bytes a second from now on.
    pub fn send_slowly(&mut self, rate: u32) {
        let how =
            json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate });
        self.call("Network.emulateNetworkConditions", how);
    }

    /// Runs no script from now on.
    pub fn without_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // SAFETY: a plain system call on the process group of our own child, which is not reaped yet.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(-self.process.id().cast_signed(), libc::SIGKILL);
        }
        let _ = self.process.wait();
    }
}

/// Starts a browser of this name that asks nobody but this machine for anything: its stdin and stdout of a kind.
fn start(name: &str, profile: &Path) -> (File, File, Child) {
    let (theirs, to) = std::io::pipe().expect("a pipe");
    let (from, its) = std::io::pipe().expect("a pipe");
    let fds = [theirs.as_raw_fd(), its.as_raw_fd()];
    let mut command = Command::new(name);
    command.args([
        "--headless=new",
        "--remote-debugging-pipe",
        "--no-sandbox", // which root has none of; the pages are ours
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // SAFETY: only async-signal-safe calls between fork and exec; both are moved out of the way first.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            let away = fds.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100));
            for (target, fd) in PIPES.into_iter().zip(away) {
                if libc::dup2(fd, target) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let process = command.spawn().expect("it starts");
    (File::from(OwnedFd::from(to)), File::from(OwnedFd::from(from)), process)
}
