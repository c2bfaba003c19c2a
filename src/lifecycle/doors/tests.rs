use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::lifecycle::{Hold, Phase};

struct Nobody;

impl Connections for Nobody {
    fn accepted(&self, _: Accepted, _: Hold) {}
    fn phase_changed(&self, _: Phase) {}
    fn cut(&self) -> Vec<String> {
        Vec::new()
    }
    fn open(&self) -> usize {
        0
    }
    fn has_room(&self) -> bool {
        true
    }
    fn make_room(&self) {}
    fn tick(&self) {}
    fn sleep(&self) -> crate::lifecycle::Sleep {
        crate::lifecycle::Sleep::default()
    }
    fn describe(&self) -> String {
        String::new()
    }
}

#[tokio::test]
async fn a_flooded_listener_starves_no_other() {
    let mut sockets = Sockets::default();
    sockets.bind("127.0.0.1:0").expect("a port");
    sockets.bind("127.0.0.1:0").expect("a port");
    let address = |index: usize| -> SocketAddr { sockets.listeners[index].address().parse().expect("TCP") };
    let (flooded, other) = (address(0), address(1));
    let connect = |address| TcpStream::connect(address).expect("it listens");
    let _flood: Vec<_> = (0..50).map(|_| connect(flooded)).collect();
    let _others: Vec<_> = (0..2).map(|_| connect(other)).collect();
    let mut doors = Doors::open(sockets).expect("sockets");
    let mut at_other = 0;
    for _ in 0..5 {
        if let Arrival::Connection(accepted) = poll_fn(|cx| doors.poll_arrival(cx, &Nobody)).await {
            let local = rustix::net::getsockname(&accepted.fd).expect("a socket");
            at_other += usize::from(SocketAddr::try_from(local) == Ok(other));
        }
    }
    assert_eq!(at_other, 2, "of the first five");
}
