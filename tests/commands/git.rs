//! Programs as they are: git's own CGI program serves clones and takes pushes, and cgit shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Daemon;
use crate::program::{Stage, children, tool, until};
use crate::site::SLOW;

/// Git, without the settings of whoever runs the test.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_TERMINAL_PROMPT", "0");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b");
    }
    command
}

/// Runs it with these arguments, separated by spaces.
#[track_caller]
fn run(folder: &Path, arguments: &str) -> String {
    tool(git(folder).args(arguments.split(' ')))
}

/// A file of so many bytes that no compression makes smaller.
fn noise(path: &Path, length: usize) {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::fs::write(path, (0..length).map(next).collect::<Vec<_>>()).expect("a file");
}

/// A dormouse that serves the repositories below `repos` by git's http-backend: one with a commit of some megabytes, and
/// where it is.
fn serving(keys: &str) -> (Stage, Daemon, String) {
    let backend = tool(Command::new("git").arg("--exec-path"));
    let route = format!(
        "[[route]]\npath = \"/git/\"\nrun = [\"{}/git-http-backend\"]\ncgi = true\n\
         env = {{ GIT_PROJECT_ROOT = \"FOLDER/repos\", GIT_HTTP_EXPORT_ALL = \"1\" }}\n{keys}\n",
        backend.trim()
    );
    let stage = Stage::new(SLOW, &route);
    let folder = stage.path("");
    run(&folder, "init --quiet --bare --initial-branch=main repos/a.git");
    run(&folder, "-C repos/a.git config http.receivepack true");
    run(&folder, "init --quiet --initial-branch=main work");
    let work = stage.path("work");
    noise(&work.join("noise"), 3 << 20);
    run(&work, "add noise");
    run(&work, "commit --quiet -m first");
    run(&work, "push --quiet ../repos/a.git main");
    let daemon = stage.wake();
    let url = format!("http://{}/git/a.git", stage.site.web);
    (stage, daemon, url)
}

fn head(repository: &Path) -> String {
    run(repository, "rev-parse main")
}

#[test]
fn a_clone_and_a_push_are_whole() {
    let (stage, daemon, url) = serving("");
    let folder = stage.path("");
    let bare = stage.path("repos/a.git");
    run(&folder, &format!("clone --quiet {url} clone"));
    let clone: PathBuf = stage.path("clone");
    run(&clone, "fsck --strict");
    assert_eq!(head(&clone), head(&bare));
    // Larger than git sends at once: chunks of a length that nobody knows.
    noise(&clone.join("more"), 5 << 20);
    run(&clone, "add more");
    run(&clone, "commit --quiet -m second");
    let pushing = tool(
        git(&clone).args(["push", "--quiet", "origin", "main"]).env("GIT_TRACE_CURL", stage.path("trace")),
    );
    assert_eq!(pushing, "");
    let trace = std::fs::read_to_string(stage.path("trace")).expect("text");
    assert!(trace.contains("Transfer-Encoding: chunked"), "{trace}");
    assert_eq!(head(&clone), head(&bare));
    run(&bare, "fsck --strict");
    // And a small one, of a known length.
    run(&clone, "commit --quiet --allow-empty -m third");
    run(&clone, "push --quiet origin main");
    assert_eq!(head(&clone), head(&bare));
    run(&folder, &format!("clone --quiet --depth 1 {url} shallow"));
    assert_eq!(run(&stage.path("shallow"), "rev-list --count HEAD").trim(), "1");
    run(&stage.path("shallow"), "fetch --quiet --unshallow");
    assert_eq!(run(&stage.path("shallow"), "rev-list --count HEAD").trim(), "3");
    until(|| children(daemon.pid()).is_empty(), || "something is left".to_owned());
}

#[test]
fn a_request_that_git_has_compressed_is_understood() {
    let (stage, _daemon, url) = serving("");
    let folder = stage.path("");
    run(&folder, &format!("clone --quiet {url} clone"));
    let (work, clone) = (stage.path("work"), stage.path("clone"));
    run(&work, "commit --quiet --allow-empty -m theirs");
    run(&work, "push --quiet ../repos/a.git main");
    // So many to tell of, all of them newer than what both have, that it is worth compressing.
    for number in 0..60 {
        let mut commit = git(&clone);
        commit.args(["commit", "--quiet", "--allow-empty", "-m", "ours"]);
        tool(commit.env("GIT_COMMITTER_DATE", format!("2040-01-01T00:00:{number:02}")));
    }
    let trace = stage.path("trace");
    tool(git(&clone).args(["fetch", "--quiet"]).env("GIT_TRACE_CURL", &trace));
    let trace = std::fs::read_to_string(trace).expect("text");
    assert!(trace.contains("Content-Encoding: gzip"), "{trace}");
    assert_eq!(run(&clone, "rev-parse origin/main"), head(&work));
}

#[test]
fn what_git_says_of_errors_reaches_its_client() {
    let (stage, _daemon, url) = serving("stream = false");
    let folder = stage.path("");
    assert_eq!(stage.get("/git/none.git/HEAD").status(), 404);
    let file = stage.get("/git/a.git/HEAD");
    assert_eq!((file.status(), file.text()), (200, "ref: refs/heads/main\n"));
    assert_eq!(stage.get("/git/../a.git/HEAD").status(), 400);
    run(&stage.path("repos/a.git"), "config http.receivepack false");
    let work = stage.path("work");
    run(&work, "commit --quiet --allow-empty -m more");
    let refused = git(&work).args(["push", "--quiet", &url, "main"]).output().expect("git");
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && complaint.contains("403"), "{complaint}");
    let missing = git(&folder).args(["clone", "--quiet", &format!("{url}x"), "none"]).output().expect("git");
    assert!(!missing.status.success());
}

#[test]
fn a_clone_that_is_broken_off_leaves_nothing_running() {
    let (stage, daemon, _) = serving("");
    let mut client = stage.client();
    client.send("GET /git/a.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: a\r\n\r\n");
    let refs = client.answer();
    let want =
        refs.text().lines().find_map(|line| line.split(' ').next()?.get(8..48)).expect("a commit").to_owned();
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let ask = format!("{}0000{}", line(&format!("want {want}\n")), line("done\n"));
    client.post("/git/a.git/git-upload-pack", "Content-Type: application/x-git-upload-pack-request\r\n", ask);
    assert_eq!(client.head().header("content-type"), Some("application/x-git-upload-pack-result"));
    client.chunk();
    let running = children(daemon.pid());
    assert_eq!(running.len(), 1);
    drop(client);
    running.into_iter().for_each(crate::program::gone);
    until(|| children(daemon.pid()).is_empty(), || "something is left".to_owned());
}

#[test]
fn cgit_shows_a_repository() {
    let program = "/usr/lib/cgit/cgit.cgi";
    if !Path::new(program).exists() {
        assert!(std::env::var_os("DORMOUSE_ALL").is_none(), "no {program}: apt install cgit");
        eprintln!("left out: no {program} (apt install cgit)");
        return;
    }
    let (stage, daemon, _) = serving("");
    drop(daemon);
    let cgitrc = format!(
        "virtual-root=/cgit\nrepo.url=a\nrepo.path={}\nrepo.desc=of a test\n",
        stage.path("repos/a.git").display()
    );
    std::fs::write(stage.path("cgitrc"), cgitrc).expect("a file");
    let route = format!(
        "{SLOW}[[route]]\npath = \"/cgit/\"\nrun = [\"{program}\"]\ncgi = true\nenv = {{ CGIT_CONFIG = \"{}\" }}\n",
        stage.path("cgitrc").display()
    );
    stage.site.configure(&route);
    let _daemon = stage.wake();
    let list = stage.get("/cgit/");
    assert_eq!((list.status(), list.header("content-type")), (200, Some("text/html; charset=UTF-8")));
    assert!(list.text().contains("of a test"), "{}", list.text());
    assert!(stage.get("/cgit/a/log/").text().contains("first"));
    let file = stage.get("/cgit/a/plain/noise");
    assert_eq!(file.body, std::fs::read(stage.path("work/noise")).expect("a file"));
    assert_eq!(stage.get("/cgit/none/").status(), 404);
}
