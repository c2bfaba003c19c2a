mod log;
mod starting;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, getpgid, kill_process, pidfd_open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use self::log::Log;
use super::*;

/// Far more than anything takes here; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Program {
    program(&["sh", "-c", script])
}

fn program(run: &[&str]) -> Program {
    let run = run.iter().map(Into::into).collect();
    Program {
        owner: Owner::App("blog".into()),
        run,
        env: Vec::new(),
        dir: "/".into(),
        socket: None,
        nice: None,
    }
}

/// Any process, by a descriptor that stays its own.
struct Watched(AsyncFd<OwnedFd>);

impl Watched {
    fn new(pid: Pid) -> Self {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("it is there");
        Self(register(pidfd, Interest::READABLE).expect("it can be watched"))
    }

    async fn is_gone(&self) {
        let _ = timeout(PATIENCE, self.0.readable()).await.expect("it is gone").expect("a runtime");
    }
}

async fn ended(child: &mut Child) -> Ended {
    timeout(PATIENCE, child.exited()).await.expect("it ends")
}

/// Waits until nothing is left of a child of ours, no zombie either.
async fn is_reaped(pid: Pid) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let reaped = async {
        while waitid(WaitId::Pid(pid), look).map(|_| ()) != Err(Errno::CHILD) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, reaped).await.expect("it is reaped");
}

#[tokio::test]
async fn an_end_says_how_and_what_was_printed_last() {
    let mut child = Child::start(&shell("echo fine; echo oops >&2; exit 3")).expect("it starts");
    let end = ended(&mut child).await;
    assert_eq!((end.to_string().as_str(), end.is_success()), ("exit code 3", false));
    assert_eq!(end.stderr, ["oops"]);
    assert_eq!(ended(&mut child).await, end);
    assert_eq!(child.stop(PATIENCE).await, end);

    let mut child = Child::start(&shell("kill -SEGV $$")).expect("it starts");
    assert_eq!(ended(&mut child).await.to_string(), "killed by SIGSEGV");
    let mut child = Child::start(&program(&["true"])).expect("it starts");
    assert!(ended(&mut child).await.is_success());
}

#[tokio::test]
async fn lines_go_to_the_log_as_they_come() {
    let mut log = Log::start();
    let script = r"echo one; printf 'two\r\n\377\n' >&2; sleep 1000";
    let mut child = Child::start(&shell(script)).expect("it starts");
    assert_eq!(log.line("stdout").await, "one");
    assert_eq!(log.line("stderr").await, "two");
    assert_eq!(log.line("stderr").await, "\u{fffd}");
    let end = timeout(PATIENCE, child.stop(PATIENCE)).await.expect("it ends");
    assert_eq!(end.to_string(), "killed by SIGTERM");
}

#[tokio::test]
async fn who_does_not_hear_is_killed_with_its_group() {
    let mut log = Log::start();
    let script = "trap '' TERM; sleep 1000 & echo $!; wait; wait";
    let mut child = Child::start(&shell(script)).expect("it starts");
    let grandchild = Watched::new(log.pid().await);
    let end = timeout(PATIENCE, child.stop(Duration::from_millis(50))).await.expect("it ends");
    assert_eq!(end.to_string(), "killed by SIGKILL");
    grandchild.is_gone().await;
}

#[tokio::test]
async fn what_is_left_of_its_group_is_killed() {
    let mut log = Log::start();
    let script = "trap 'exit 0' TERM; (trap '' TERM; exec sleep 1000) & echo $!; wait";
    let mut child = Child::start(&shell(script)).expect("it starts");
    let grandchild = Watched::new(log.pid().await);
    let end = timeout(PATIENCE, child.stop(PATIENCE)).await.expect("it ends");
    assert_eq!(end.to_string(), "exit code 0");
    grandchild.is_gone().await;
}

#[tokio::test]
async fn everybody_in_its_group_has_the_time_if_that_is_wanted() {
    let mut log = Log::start();
    let other = "trap 'sleep 0.1; echo tidy; exit 0' TERM; echo $$; while :; do sleep 0.01; done";
    let mut child =
        Child::start(&shell(&format!("sh -c \"{}\" & wait", other.replace('$', "\\$")))).expect("it starts");
    let grandchild = Watched::new(log.pid().await);
    let end = timeout(PATIENCE, child.stop_all(PATIENCE)).await.expect("it ends");
    assert_eq!(end.to_string(), "killed by SIGTERM");
    assert_eq!(log.line("stdout").await, "tidy");
    grandchild.is_gone().await;

    let script = "(trap '' TERM; exec sleep 1000) & echo $!; wait";
    let mut child = Child::start(&shell(script)).expect("it starts");
    let grandchild = Watched::new(log.pid().await);
    let end = timeout(PATIENCE, child.stop_all(Duration::from_millis(50))).await.expect("it ends");
    assert_eq!(end.to_string(), "killed by SIGTERM");
    grandchild.is_gone().await;
}

#[tokio::test]
async fn one_that_is_dropped_while_others_have_their_time_takes_them_with_it() {
    let mut log = Log::start();
    let script = "(trap '' TERM; exec sleep 1000) & echo $!; wait";
    let mut child = Child::start(&shell(script)).expect("it starts");
    let (leader, grandchild) = (Watched::new(child.leader.pid), Watched::new(log.pid().await));
    {
        let mut stopping = std::pin::pin!(child.stop_all(PATIENCE));
        tokio::select! {
            _ = &mut stopping => panic!("it does not wait for the other"),
            () = leader.is_gone() => {}
        }
        let _ = timeout(Duration::from_millis(50), stopping).await; // so that it has been reaped
    }
    drop(child);
    grandchild.is_gone().await;
}

#[tokio::test]
async fn a_process_that_keeps_its_output_open_is_not_waited_for() {
    let mut log = Log::start();
    let script = "trap 'echo bye; exit 0' TERM; setsid sh -c 'echo $$; exec sleep 1000' & wait";
    let mut child = Child::start(&shell(script)).expect("it starts");
    let pid = log.pid().await;
    let away = Watched::new(pid);
    kill_process(child.leader.pid, Signal::TERM).expect("it is there");
    assert!(ended(&mut child).await.is_success());
    assert_eq!(log.line("stdout").await, "bye");
    kill_process(pid, Signal::KILL).expect("it has left the group, and lives");
    away.is_gone().await;
}

#[tokio::test]
async fn output_may_be_closed_early() {
    let mut log = Log::start();
    let mut child = Child::start(&shell("exec 1>&-; echo late >&2; exec 2>&-; exit 7")).expect("it starts");
    assert_eq!(log.line("stderr").await, "late");
    assert_eq!(ended(&mut child).await.to_string(), "exit code 7");
}

#[tokio::test]
async fn a_flood_is_cut_into_pieces() {
    const BYTES: usize = 50_000_000;
    let mut log = Log::start();
    let script = format!("head -c {BYTES} /dev/zero | tr '\\0' x; echo; echo end");
    let mut child = Child::start(&shell(&script)).expect("it starts");
    let count = async {
        let mut bytes = 0;
        loop {
            match log.line("stdout").await {
                line if line == "end" => return bytes,
                line => {
                    assert!(line.len() <= 8 * 1024);
                    bytes += line.len();
                }
            }
        }
    };
    let (end, bytes) = tokio::join!(ended(&mut child), count);
    assert!(end.is_success());
    assert_eq!(bytes, BYTES);
}

#[tokio::test]
async fn a_flood_leaves_others_their_turns() {
    let mut child = Child::start(&program(&["yes", ""])).expect("it starts");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let echo = async {
        let mut near = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let (mut far, _) = listener.accept().await.expect("it came");
        for byte in 0..100 {
            near.write_u8(byte).await.expect("open");
            assert_eq!(far.read_u8().await.expect("open"), byte);
        }
    };
    timeout(PATIENCE, echo).await.expect("it has its turns");
    assert_eq!(child.stop(PATIENCE).await.to_string(), "killed by SIGTERM");
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let mut log = Log::start();
    let mut child = Child::start(&shell("echo up; kill -STOP $$; echo on >&2")).expect("it starts");
    assert_eq!(log.line("stdout").await, "up");
    for _ in 0..3 {
        assert!(timeout(Duration::ZERO, child.exited()).await.is_err());
    }
    let pid = child.leader.pid;
    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT).expect("it stops");
    kill_process(pid, Signal::CONT).expect("it is there");
    assert_eq!(ended(&mut child).await.stderr, ["on"]);
}

#[tokio::test]
async fn one_that_is_stopped_hears_too() {
    let mut child = Child::start(&shell("kill -STOP $$")).expect("it starts");
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(child.leader.pid), stopped).expect("it stops");
    let end = timeout(PATIENCE, child.stop(PATIENCE * 2)).await.expect("it ends");
    assert_eq!(end.to_string(), "killed by SIGTERM");
}

#[tokio::test]
async fn dropped_it_is_killed_and_reaped() {
    let mut log = Log::start();
    let child = Child::start(&shell("trap '' TERM; sleep 1000 & echo $!; wait")).expect("it starts");
    let grandchild = Watched::new(log.pid().await);
    let pid = child.leader.pid;
    assert_eq!(getpgid(Some(pid)), Ok(pid));
    drop(child);
    grandchild.is_gone().await;
    is_reaped(pid).await;
}

#[tokio::test]
async fn one_that_somebody_else_reaped_has_ended_too() {
    let mut child = Child::start(&program(&["true"])).expect("it starts");
    waitpid(Some(child.leader.pid), WaitOptions::empty()).expect("it ends");
    assert!(!ended(&mut child).await.is_success());
}

/// The end of the thread is what the kernel looks at, also when it comes by SIGKILL to the whole process.
#[tokio::test]
async fn it_does_not_outlive_who_started_it() {
    let (pids, mut started) = mpsc::unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _entered = runtime.enter();
        let child = Child::start(&shell("trap '' TERM; exec sleep 1000")).expect("it starts");
        pids.send(child.leader.pid).expect("it is wanted");
        std::mem::forget(child);
        let _ = gone.recv();
    });
    let pid = started.recv().await.expect("it starts");
    let watched = Watched::new(pid);
    drop(go);
    thread.join().expect("it does not panic");
    watched.is_gone().await;
    waitpid(Some(pid), WaitOptions::empty()).expect("it was a child");
}
