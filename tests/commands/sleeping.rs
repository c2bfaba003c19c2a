//! A program keeps dormouse awake, however quiet it is, and not a moment longer.

use crate::program::{Stage, gone, sh};
use crate::site::FAST;

#[test]
fn one_that_runs_keeps_it_awake_and_is_told_of() {
    let script = "echo $$ > FOLDER/here; read x < FOLDER/go; printf out";
    let finish = "on_disconnect = \"finish\"";
    for (target, keys) in [("/", ""), ("/finish", finish)] {
        let stage = Stage::new(FAST, &sh(target, keys, script));
        let (here, go) = (stage.fifo("here"), stage.fifo("go"));
        let mut client = stage.client();
        client.ask(target); // it would fall asleep before anybody has come
        let mut daemon = stage.site.wake();
        let pid = here.pid();
        if target == "/finish" {
            // Nobody is there but the program.
            drop(client);
            client = stage.client();
            client.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.answer();
        }
        let said = daemon.hear(&format!("command {target}"));
        assert!(said.contains("STATUS=awake"), "{said}");
        std::thread::sleep(std::time::Duration::from_millis(300)); // it would sleep after 20 ms
        assert!(daemon.is_running(), "it sleeps while {target} runs");
        assert_eq!(stage.commands(), [target]);
        let text = stage.site.text();
        assert!(text.contains("command") && !text.contains("other (background"), "{text}");
        go.say("");
        if target == "/" {
            assert_eq!(client.answer().text(), "out");
        }
        gone(pid);
        daemon.asleep();
    }
}

#[test]
fn one_that_was_ended_with_its_client_keeps_nothing_awake() {
    let stage = Stage::new(FAST, &sh("/", "", "echo $$ > FOLDER/here; exec sleep 1000"));
    let here = stage.fifo("here");
    let mut client = stage.client();
    client.ask("/");
    let daemon = stage.site.wake();
    let pid = here.pid();
    drop(client);
    gone(pid);
    daemon.asleep();
}
