//! `GET PATH/ID/events`: everything once, in order, wherever one goes on from.

use std::net::TcpStream;

use serde_json::Value;

use crate::board::{Board, QUICK, STAYS, WAITS, ask, json, kill, most_memory, pipes, stop};
use crate::harness::{Client, connect};

/// Whoever follows a job.
struct Follower {
    client: Client<TcpStream>,
    text: Vec<u8>,
    is_over: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    id: String,
    data: String,
    retry: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Follower {
    fn new(board: &Board, at: &str, last: &str) -> Self {
        let mut client = connect(board.site.web);
        let last = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        client.send(format!("GET {at}/events HTTP/1.1\r\nHost: test\r\n{last}\r\n"));
        let head = client.head();
        assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
        Self { client, text: Vec::new(), is_over: false }
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("text");
                let mut event = Event::default();
                let mut data = Vec::new();
                for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
                    match line.split_once(": ").unwrap_or_else(|| panic!("{line:?}")) {
                        ("event", name) => event.name = name.to_owned(),
                        ("id", id) => event.id = id.to_owned(),
                        ("retry", retry) => event.retry = retry.to_owned(),
                        ("data", line) => data.push(line),
                        other => panic!("{other:?}"),
                    }
                }
                event.data = data.join("\n");
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            if self.is_over {
                assert!(self.text.is_empty(), "half an event: {:?}", String::from_utf8_lossy(&self.text));
                return None;
            }
            let chunk = self.client.chunk();
            self.is_over = chunk.is_empty();
            self.text.extend_from_slice(&chunk);
        }
    }

    /// The next of those that have a place in the output; the end is one, too.
    fn next_line(&mut self) -> Option<Event> {
        std::iter::from_fn(|| self.next()).find(|event| !event.id.is_empty())
    }

    fn lines(mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next_line()).collect()
    }
}

fn board(script: &str, keys: &str) -> Board {
    let config = format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n{keys}\n");
    Board::new(&[("a", script)], &config)
}

/// Names and data of what came.
fn shown(events: &[Event]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (&*event.name, &*event.data)).collect()
}

#[test]
fn everything_comes_once_and_from_anywhere() {
    let script = format!(
        "echo progress 1/3 one; {WAITS}; echo hello; echo; {WAITS}; echo progress 2/3 two; {WAITS}; echo oops >&2
        {WAITS}; echo progress 100%; echo last"
    );
    let board = board(&script, "");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    begun.line();
    let mut follower = Follower::new(&board, &at, "");
    let state = follower.next().expect("how it stands");
    assert_eq!((&*state.name, &state.json()["state"]), ("state", &"running".into()));
    let mut live = vec![follower.next_line().expect("progress")];
    for count in [2, 1, 1] {
        go.open(1);
        live.extend((0..count).map(|_| follower.next_line().expect("a line")));
        begun.line();
    }
    go.open(1);
    live.extend(follower.lines());
    let progress = |done: u64, total: u64, text: &str| {
        let percent = done * 100 / total;
        serde_json::json!({ "done": done, "total": total, "percent": percent, "text": text }).to_string()
    };
    let (one, two, three) = (progress(1, 3, "one"), progress(2, 3, "two"), progress(100, 100, ""));
    let end = live.last().expect("some").clone();
    assert_eq!(
        shown(&live),
        [
            ("progress", &*one),
            ("", "hello"),
            ("", ""),
            ("progress", &*two),
            ("log", "oops"),
            ("progress", &*three),
            ("", "last"),
            ("end", &*end.data),
        ]
    );
    assert_eq!(
        (&*end.id, &end.json()["state"], &end.json()["exit_code"]),
        ("end", &"done".into(), &0.into())
    );
    // Once more, and from each place on.
    assert_eq!(Follower::new(&board, &at, "").lines(), live);
    for (number, event) in live.iter().enumerate() {
        if event.id == "end" {
            let answer = ask(board.site.web, "GET", &format!("{at}/events"), "Last-Event-ID: end\r\n", b"");
            assert_eq!(answer.expect("an answer").status(), 204);
        } else {
            assert_eq!(Follower::new(&board, &at, &event.id).lines(), live[number + 1..], "after {event:?}");
        }
    }
    stop(daemon);
}

#[test]
fn a_follower_goes_on_after_a_crash_and_after_a_restart() {
    let script = "echo attempt $JOB_ATTEMPT one; echo $JOB_ID > FOLDER/begun; read go < FOLDER/go; echo progress 1/2 $JOB_ATTEMPT
        printf 'no end'; echo $JOB_ID > FOLDER/begun; read go < FOLDER/go; echo; echo done";
    let board = board(script, "");
    board.configure(&format!("{STAYS}drain = \"300ms\"\n[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n"));
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    begun.line();
    let mut follower = Follower::new(&board, &at, "");
    let mut seen = vec![follower.next_line().expect("a line")];
    go.open(1);
    begun.line();
    seen.push(follower.next_line().expect("progress"));
    kill(daemon);

    let daemon = board.wake();
    begun.line();
    let mut follower = Follower::new(&board, &at, &seen[1].id);
    seen.push(follower.next_line().expect("the next attempt's"));
    daemon.signal(libc::SIGTERM);
    let goodbye = std::iter::from_fn(|| follower.next()).last().expect("a goodbye");
    assert_eq!((&*goodbye.name, &*goodbye.retry), ("state", "1000"), "{goodbye:?}");
    daemon.asleep();

    let daemon = board.wake();
    begun.line();
    go.open(2);
    begun.line();
    seen.extend(Follower::new(&board, &at, &seen[2].id).lines());
    assert_eq!(seen, Follower::new(&board, &at, "").lines(), "nothing twice, and nothing left out");
    let shown = shown(&seen);
    let texts: Vec<_> = shown.iter().filter(|(name, _)| name.is_empty()).map(|(_, text)| *text).collect();
    // The third attempt has the second's number: that was put back.
    assert_eq!(texts, ["attempt 1 one", "attempt 2 one", "attempt 2 one", "no end", "done"]);
    stop(daemon);
}

#[test]
fn a_job_that_waits_for_an_hour_does_not_keep_its_follower_awake() {
    let board = Board::new(
        &[("a", "echo failing; exit 1")],
        &format!("{QUICK}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\nretries = 1\nbackoff = \"1h\"\n"),
    );
    let daemon = board.wake();
    let at = board.submit("/a", "");
    let mut follower = Follower::new(&board, &at, "");
    assert_eq!(follower.next_line().expect("a line").data, "failing");
    let goodbye = std::iter::from_fn(|| follower.next()).last().expect("a goodbye");
    daemon.asleep();
    assert_eq!(goodbye.json()["state"], "queued");
    let retry: u64 = goodbye.retry.parse().expect("when to come again");
    assert!((3_500_000..=3_600_000).contains(&retry), "{retry}");
}

#[test]
fn a_long_output_is_cut_and_progress_goes_on() {
    let script = format!("seq 1 1000; {WAITS}; echo progress 1/2; {WAITS}; echo progress 2/2; echo more");
    let board = board(&script, "output = \"1 KiB\"");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    begun.line();
    let mut follower = Follower::new(&board, &at, "");
    let mut last = Event::default();
    while last.name != "log" {
        last = follower.next_line().expect("a line");
    }
    assert!(last.data.contains("left out"), "{last:?}");
    let is_progress = |event: &Event, done: u64| event.name == "progress" && event.json()["done"] == done;
    go.open(1);
    begun.line();
    assert!(is_progress(&follower.next().expect("progress"), 1));
    // Also for one that comes again.
    let mut again = Follower::new(&board, &at, &last.id);
    assert_eq!(again.next().expect("how it stands").name, "state");
    assert!(is_progress(&again.next().expect("progress"), 1));
    go.open(1);
    for mut follower in [follower, again] {
        let rest: Vec<_> = std::iter::from_fn(|| follower.next()).collect();
        let names: Vec<_> = rest.iter().map(|event| &*event.name).collect();
        assert_eq!(names, ["progress", "state", "end"], "{rest:?}");
        assert_eq!(rest[2].json()["progress"]["percent"], 100);
    }
    let job = board.job(&at);
    let output = job["output"].as_str().expect("text");
    assert!(
        output.starts_with("1\n2\n") && output.ends_with("left out\n") && output.len() < 1200,
        "{output}"
    );
    stop(daemon);
}

#[test]
fn whatever_is_printed_is_told() {
    let script = r"printf '\000\377\033[2Ja\rb\nprogress \377/1\n'; head -c 100000 /dev/zero | tr '\000' x; echo; printf 'no end'";
    let board = board(script, "");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    let job = board.until(&at, "done");
    let output = job["output"].as_str().expect("text");
    assert!(output.ends_with("x\nno end\n"), "its end is shown");
    let events = Follower::new(&board, &at, "").lines();
    assert_eq!(events[0].data, "\0\u{fffd}\u{1b}[2Ja\nb");
    assert_eq!((&*events[1].name, &*events[1].data), ("", "progress \u{fffd}/1"));
    let long: String =
        events.iter().skip(2).take_while(|event| event.data.starts_with('x')).map(|e| &*e.data).collect();
    assert_eq!(long.len(), 100_000);
    assert_eq!(events[events.len() - 2].data, "no end");
    let raw = board.get(&format!("{at}/output")).body;
    assert!(raw.starts_with(b"\0\xff\x1b[2Ja\rb\nprogress \xff/1\n"));
    stop(daemon);
}

#[test]
fn a_gigabyte_of_output_stays_out_of_memory() {
    let board =
        board("head -c 1000000000 /dev/zero | tr '\\000' x; echo; echo progress 1/1", "output = \"300 KiB\"");
    let daemon = board.wake();
    board.get("/hello");
    let before = most_memory(&daemon);
    let at = board.submit("/a", "");
    let followed = Follower::new(&board, &at, "").lines();
    let job = json(&board.get(&at));
    assert_eq!((&job["state"], &job["progress"]["percent"]), (&"done".into(), &100.into()));
    let kept: usize =
        followed.iter().filter(|event| event.name.is_empty()).map(|event| event.data.len()).sum();
    assert!((290_000..=307_200).contains(&kept), "{kept}");
    let more = most_memory(&daemon) - before;
    assert!(more < 24 * 1024, "{more} KiB more");
    println!("1 GB of output: {more} KiB more memory than before");
    stop(daemon);
}
