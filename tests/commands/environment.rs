//! What a program finds when it begins: its environment, descriptors, folder, priority, group and signals.

use std::collections::BTreeMap;

use crate::harness::Unit;
use crate::program::{Stage, sh};
use crate::site::SLOW;

/// A dormouse whose own environment has something to hide.
fn stage(routes: &str) -> (Stage, crate::harness::Daemon) {
    let mut stage = Stage::new(SLOW, routes);
    stage.site.unit = std::mem::replace(&mut stage.site.unit, Unit::new())
        .env("SECRET_OF_DAEMON", "secret")
        .env("CREDENTIALS_DIRECTORY", "/run/credentials/x")
        .env("HOME", "/home/of-service")
        .env("USER", "service")
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C")
        .env("http_proxy", "http://127.0.0.1:1");
    let daemon = stage.wake();
    (stage, daemon)
}

#[test]
fn the_environment_is_what_is_said_and_nothing_of_the_daemons() {
    let routes = "[[route]]\npath = \"/cgi/\"\nrun = [\"/usr/bin/env\", \"-0\"]\n\
                  env = { LANG = \"de_DE\", OWN = \"a b\" }\n";
    let (stage, _daemon) = stage(routes);
    let mut client = stage.client();
    client.send(
        "POST /cgi/x%20y/z?q=1&r=%20 HTTP/1.1\r\nHost: site.test:8080\r\nContent-Type: text/x\r\n\
         Content-Length: 3\r\nX-A: 1\r\nX-A: 2\r\nX_A: 3\r\nProxy: http://evil\r\nAuthorization: Basic x\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\nCookie: a=b\r\n\r\nabc",
    );
    let answer = client.answer();
    let text = answer.text();
    let pairs = text.split_terminator('\0').map(|pair| pair.split_once('=').expect("a pair"));
    let mut found: BTreeMap<_, _> = pairs.clone().collect();
    assert_eq!(pairs.count(), found.len(), "none is there twice");
    let path = found.remove("PATH").expect("a PATH");
    assert!(path.split(':').any(|folder| folder == "/usr/bin"), "{path}");
    assert!(found.remove("REMOTE_PORT").is_some_and(|port| port.parse::<u16>().is_ok()));
    assert!(found.remove("SERVER_SOFTWARE").is_some_and(|name| name.starts_with("dormouse/")));
    let expected = BTreeMap::from([
        ("HOME", "/home/of-service"),
        ("USER", "service"),
        ("LANG", "de_DE"),
        ("OWN", "a b"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_NAME", "site.test"),
        ("SERVER_PORT", "8080"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/cgi/x%20y/z?q=1&r=%20"),
        ("QUERY_STRING", "q=1&r=%20"),
        ("SCRIPT_NAME", "/cgi"),
        ("PATH_INFO", "/x y/z"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("CONTENT_TYPE", "text/x"),
        ("CONTENT_LENGTH", "3"),
        ("HTTP_HOST", "site.test:8080"),
        ("HTTP_X_A", "1, 2"),
        ("HTTP_COOKIE", "a=b"),
    ]);
    assert_eq!(found, expected);
}

/// Tells of itself what `/proc` and the shell know.
const SELF: &str = "ls /proc/self/fd | tr \"\\n\" \" \"; echo; cut -d \" \" -f 5,6 /proc/self/stat; echo $$; pwd; nice; \
                    grep -E \"^Sig(Blk|Ign)\" /proc/self/status; readlink /proc/self/fd/0; umask";

#[test]
fn it_starts_clean() {
    let routes =
        sh("/", "dir = \"/usr/share\"\nnice = 7", SELF) + &sh("/plain", "", "nice; pwd; cat; echo done");
    let (stage, daemon) = stage(&routes);
    let answer = stage.get("/");
    let lines: Vec<_> = answer.text().lines().collect();
    // The fourth is what `ls` itself has open: the folder it lists.
    assert_eq!(lines[0].trim(), "0 1 2 3", "{lines:?}");
    let (group, session) = lines[1].split_once(' ').expect("two");
    assert_eq!(group, lines[2], "a process group of its own");
    assert_ne!(group, session, "and not a session of its own");
    assert_eq!(lines[3..5], ["/usr/share", "7"]);
    // Whoever runs the test may ignore some.
    let own = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let bits =
        |line: &str| u64::from_str_radix(line.trim_start_matches(|c| c != '\t').trim(), 16).expect("bits");
    for line in &lines[5..7] {
        let name = &line[..6];
        let own = own.lines().find(|line| line.starts_with(name)).expect("it is there");
        assert_eq!(bits(line) & !bits(own), 0, "a signal is blocked or ignored: {line} {own}");
    }
    assert_eq!(lines[7], "/dev/null");
    let own = std::process::Command::new("sh").args(["-c", "umask"]).output().expect("a shell");
    assert_eq!(lines[8].as_bytes(), own.stdout.trim_ascii());
    let own = rustix::process::getpriority_process(None).expect("a priority");
    let state = stage.path("").display().to_string();
    let plain = format!("{own}\n{}\ndone\n", state.trim_end_matches('/'));
    assert_eq!(stage.get("/plain").text(), plain);
    drop(daemon);
}

#[test]
fn the_limit_to_open_files_is_not_the_one_we_raised() {
    let stage = Stage::sh("", "ulimit -Sn; ulimit -Hn; id -u");
    let script = stage.path("limited");
    let serve = stage.path("serve");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -Sn 777\nexec '{}'\n", serve.display()))
        .expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("it is ours");
    let mut daemon = stage.site.unit.start_program(&script);
    daemon.hear("READY=1");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it runs");
    let own = limits.lines().find(|line| line.starts_with("Max open files")).expect("the kernel says it");
    let own: Vec<_> = own.split_whitespace().collect();
    assert_eq!(own[3], own[4], "we have raised ours");
    let user = rustix::process::getuid().as_raw();
    assert_eq!(stage.get("/").text(), format!("777\n{}\n{user}\n", own[4]));
}

#[test]
fn a_priority_that_may_not_be_is_a_line_in_the_log() {
    // A limit of the process itself; root's capability is in the way, so it is only looked at without it.
    let (stage, daemon) = stage(&sh("/", "nice = -20", "nice"));
    let text = stage.get("/").text().to_owned();
    let log = crate::program::log(daemon);
    assert!(text == "-20\n" || log.contains("LimitNICE="), "{text} {log}");
}

#[test]
fn a_program_that_cannot_run_is_500_and_the_log_says_why() {
    let file = "[[route]]\npath = \"/file\"\nrun = [\"FOLDER/script\"]\n";
    let routes = [
        "[[route]]\npath = \"/none\"\nrun = [\"no-such-program\"]\n",
        "[[route]]\npath = \"/dir\"\nrun = [\"/bin/true\"]\ndir = \"/no/such\"\n",
        file,
        &file.replace("file\"", "sse\"\nstream = \"sse\""),
    ];
    let (stage, daemon) = stage(&routes.concat());
    std::fs::write(stage.path("script"), "#!/no/such/interpreter\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(stage.path("script"), mode).expect("it is ours");
    let expected = [
        ("/none", "there is no program no-such-program in PATH"),
        ("/dir", "cannot go to its folder /no/such; see `dir`"),
        ("/file", "the interpreter that its first line names"),
        ("/sse", "the interpreter that its first line names"),
    ];
    let pages = expected.map(|(target, words)| (stage.get(target), words));
    let log = crate::program::log(daemon);
    for (page, words) in pages {
        assert_eq!(page.status(), 500);
        let line = crate::program::line_of(&page, &log);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn it_may_have_as_many_files_open_as_the_daemon_was_given() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let given = getrlimit(Resource::Nofile);
    let most = given.maximum.expect("a limit");
    // One less than may be, which is nothing to other tests.
    setrlimit(Resource::Nofile, Rlimit { current: Some(most - 1), ..given }).expect("it may be less");
    let stage = Stage::sh("", "ulimit -Sn; ulimit -Hn");
    let daemon = stage.wake();
    assert_eq!(stage.get("/").text(), format!("{}\n{most}\n", most - 1));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it runs");
    let own = limits.lines().find(|line| line.starts_with("Max open files")).expect("the kernel says it");
    assert_eq!(own.split_whitespace().nth(3), Some(&*most.to_string()), "it has raised its own");
}
