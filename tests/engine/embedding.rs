//! The example of the README, as it is: an untouched axum router under socket activation.

use crate::harness::{Unit, connect, example};

#[test]
fn an_axum_app_wakes_serves_and_can_be_stopped() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut client = connect(web);
    client.send("GET /hello/you HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut daemon = unit.start_program(&example("axum"));
    daemon.hear("READY=1");
    assert_eq!(client.answer().text(), "hello, you\n");
    assert_eq!(client.get("/").text(), "hello from axum\n");
    assert_eq!(client.get("/nothing").status(), 404);
    daemon.signal(libc::SIGTERM);
    drop(client);
    assert_eq!(daemon.left().0.code(), Some(0));
    // The socket lives on: the next client starts it again.
    let mut client = connect(web);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let daemon = unit.start_program(&example("axum"));
    assert_eq!(client.answer().text(), "hello from axum\n");
    daemon.signal(libc::SIGTERM);
    drop(client);
    assert_eq!(daemon.left().0.code(), Some(0));
}
