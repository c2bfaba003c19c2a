//! `examples/upload` as it is, and the page that dormouse has for each job.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use crate::chromium::Browser;
use crate::harness::{Daemon, PATIENCE, connect};
use crate::site::{SLOW, Site};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/upload");

/// The example at work, and a file to upload.
struct Example {
    site: Site,
    _daemon: Daemon,
    file: PathBuf,
}

/// How many lines the file has, and how long they are.
const LINES: usize = 30_000;
const LINE: &str =
    "one of many lines, each as long as all the others, as in any large table of numbers and names here\n";

impl Example {
    /// Whose job pauses for so many seconds at each percent.
    fn new(pause: &str) -> Self {
        let config = std::fs::read_to_string(format!("{EXAMPLE}/dormouse.toml")).expect("the example");
        let replaced =
            config.replace("/srv/upload", EXAMPLE).replace("PAUSE = \"0.05\"", &format!("PAUSE = {pause:?}"));
        assert_eq!(replaced.matches(EXAMPLE).count(), config.matches("/srv/upload").count());
        assert!(replaced.contains(&format!("PAUSE = {pause:?}")), "{replaced}");
        let site = Site::new(&format!("{SLOW}{replaced}"));
        let file = site.unit.folder.join("table.csv");
        std::fs::write(&file, LINE.repeat(LINES)).expect("a file");
        Self { _daemon: site.wake_and_wait(), site, file }
    }

    fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.site.web)
    }

    /// What is at a path, as JSON.
    fn json(&self, path: &str) -> Value {
        let answer = connect(self.site.web).get(path);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// Begins a job without a browser; its path.
    fn submit(&self) -> String {
        let part = "--B\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"a\"\r\n\r\na\nb\nc\n\r\n--B--\r\n";
        let mut client = connect(self.site.web);
        client.send(format!(
            "POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=B\r\n\
             Content-Length: {}\r\n\r\n{part}",
            part.len()
        ));
        let answer = client.answer();
        assert_eq!(answer.status(), 202, "{answer:?}");
        answer.header("location").expect("its address").to_owned()
    }

    /// Waits until no file of an upload is left that was not accepted.
    fn until_nothing_is_spooled(&self) {
        let folder = self.site.unit.folder.join("jobs/spool");
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
            assert!(Instant::now() < deadline, "something is left in {}", folder.display());
            std::thread::yield_now();
        }
    }
}

/// Where the page says that it is.
fn state_is(state: &str) -> String {
    format!("document.getElementById('state').textContent === {state:?}")
}

#[test]
fn a_file_is_uploaded_and_its_progress_shown() {
    let Some(mut browser) = Browser::start() else { return };
    let example = Example::new("0.01");
    browser.open(&example.address("/"));
    browser.choose("input[type=file]", &example.file);
    browser.send_slowly(2 << 20);
    browser.click("form button");
    browser.until(&state_is("done"));
    let (sent, done) = (browser.between("sent"), browser.between("done"));
    assert!(!sent.is_empty() && sent.is_sorted(), "the upload: {sent:?}");
    assert!(done.len() > 50 && done.is_sorted(), "the job: {done:?}");
    assert_eq!(browser.text("output"), format!("{LINES} lines, {} bytes", LINES * LINE.len()));
    assert_eq!(browser.value("document.getElementById('cancel').hidden"), true);
    let link = browser.value("document.getElementById('link').getAttribute('href')");
    let job = example.json(link.as_str().expect("its address"));
    assert_eq!((&job["state"], &job["progress"]["percent"]), (&"done".into(), &100.into()), "{job}");
}

#[test]
fn a_button_cancels_the_upload_or_the_job() {
    let Some(mut browser) = Browser::start() else { return };
    let example = Example::new("5");
    browser.open(&example.address("/"));
    browser.choose("input[type=file]", &example.file);
    // Slow enough that it would take minutes.
    browser.send_slowly(16 << 10);
    browser.click("form button");
    browser.until("document.getElementById('sent').value > 0");
    browser.click("#cancel");
    browser.until(&state_is("not uploaded"));
    assert_eq!(example.json("/jobs")["jobs"], Value::Array(vec![]));
    example.until_nothing_is_spooled();
    browser.send_slowly(64 << 20);
    browser.click("form button");
    browser.until("document.getElementById('done').value > 0");
    assert_eq!(browser.text("state"), "running");
    browser.click("#cancel");
    browser.until(&state_is("cancelled"));
    assert_eq!(example.json("/jobs")["jobs"][0]["state"], "cancelled");
}

#[test]
fn without_scripts_it_is_a_plain_form() {
    let Some(mut browser) = Browser::start() else { return };
    let example = Example::new("0");
    browser.without_scripts();
    browser.open(&example.address("/"));
    browser.choose("input[type=file]", &example.file);
    browser.click("form button");
    let deadline = Instant::now() + PATIENCE;
    let heading = loop {
        match browser.markup("h1 code") {
            Some(heading) => break heading,
            None => assert!(Instant::now() < deadline, "there is no page of the job"),
        }
    };
    let job = &example.json("/jobs")["jobs"][0];
    let id = job["id"].as_str().expect("an id");
    assert!(heading.contains(id), "{heading}");
    assert_eq!(job["input"]["size"], LINES * LINE.len());
}

#[test]
fn dormouses_own_page_of_a_job_follows_it() {
    let Some(mut browser) = Browser::start() else { return };
    let example = Example::new("0.1");
    browser.open(&example.address(&example.submit()));
    browser.until(&state_is("done"));
    // Of six bytes each is a step.
    let seen = browser.between("progress");
    assert!(seen.len() >= 4 && seen.is_sorted(), "{seen:?}");
    assert_eq!(browser.text("text"), "6/6 3 lines");
    assert_eq!(browser.text("output"), "3 lines, 6 bytes");
    let example = Example::new("5");
    browser.open(&example.address(&example.submit()));
    browser.until("document.getElementById('progress').value > 0");
    browser.click("#cancel");
    browser.until(&state_is("cancelled"));
    browser.until("document.getElementById('cancel') === null");
}
