//! One kind of client against one server: several services at once, all slept and woken until enough was asked.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::activator::{Past, Service};
use crate::clients::http1::{self, Pool};
use crate::clients::{Kind, Reuse, Round, http2};
use crate::draw::Draw;
use crate::edge::Edge;
use crate::outcomes::Outcomes;
use crate::servers::{Place, Server};

/// How large a trial is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// It ends when this many requests were made.
    pub requests: u64,
    /// Services at once, each with its own listener and process.
    pub services: usize,
    /// Clients of each service.
    pub clients: usize,
    /// It ends then in any case.
    pub limit: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trial {
    pub server: Server,
    pub kind: Kind,
    pub outcomes: Outcomes,
    pub past: Past,
    pub services: usize,
    pub took: Duration,
    /// Whether the time was over before enough was asked.
    pub is_cut_short: bool,
}

/// Runs one trial. `afters` are shared out among the services.
pub fn run(
    place: &Place,
    server: Server,
    kind: Kind,
    size: Size,
    afters: &[Duration],
    seed: u64,
) -> io::Result<Trial> {
    let began = Instant::now();
    let asked = AtomicU64::new(0);
    let mut services = Vec::new();
    for number in 0..size.services {
        let after = afters[number % afters.len()];
        let service = Service::hold(place.program(server, &kind, after)?)?;
        let name = format!("{} {} {number}", server.name(), kind.name);
        services.push((service, Edge::new(server.window(&kind, after), Draw::new(seed, &name)), name));
    }
    let mut outcomes = Outcomes::default();
    let mut past = Past::default();
    thread::scope(|scope| {
        let running: Vec<_> = services
            .into_iter()
            .map(|(service, edge, name)| {
                let goal = Goal { asked: &asked, requests: size.requests, until: began + size.limit };
                scope.spawn(move || {
                    let outcomes = serve(&service, edge, kind, size.clients, &goal, seed, &name);
                    (outcomes, service.end())
                })
            })
            .collect();
        for thread in running {
            let (own, left) = thread.join().expect("a service's thread does not panic");
            outcomes += own;
            past.wakes += left.wakes;
            past.late_bytes += left.late_bytes;
            past.failures.extend(left.failures);
        }
    });
    let is_cut_short = outcomes.requests < size.requests;
    Ok(Trial { server, kind, outcomes, past, services: size.services, took: began.elapsed(), is_cut_short })
}

/// When a trial is over.
struct Goal<'t> {
    asked: &'t AtomicU64,
    requests: u64,
    until: Instant,
}

impl Goal<'_> {
    fn is_reached(&self) -> bool {
        self.asked.load(Ordering::Relaxed) >= self.requests || Instant::now() >= self.until
    }
}

/// Either client.
enum Client {
    Http1(http1::Client),
    Http2(http2::Client),
}

impl Client {
    fn new(kind: Kind, service: &Service, pool: &Pool, draw: Draw) -> Self {
        match kind.reuse {
            Reuse::Streams => Self::Http2(http2::Client::new(service.address, draw)),
            Reuse::Pool => Self::Http1(http1::Client::new(kind, service.address, pool.clone(), draw)),
            Reuse::Own | Reuse::Never => {
                Self::Http1(http1::Client::new(kind, service.address, Pool::default(), draw))
            }
        }
    }

    fn ask(&mut self, round: Round) -> bool {
        match self {
            Self::Http1(client) => client.ask(round),
            Self::Http2(client) => client.ask(round),
        }
    }

    fn outcomes(&self) -> Outcomes {
        match self {
            Self::Http1(client) => client.outcomes(),
            Self::Http2(client) => client.outcomes(),
        }
    }
}

/// What the clients of one service agree on.
struct Meeting {
    all: Barrier,
    next: Mutex<Option<Round>>,
    found_closed: AtomicBool,
}

/// All clients of one service, in rounds: they meet, pause, and ask around the same edge.
fn serve(
    service: &Service,
    edge: Edge,
    kind: Kind,
    clients: usize,
    goal: &Goal<'_>,
    seed: u64,
    name: &str,
) -> Outcomes {
    let meeting =
        Meeting { all: Barrier::new(clients), next: Mutex::new(None), found_closed: AtomicBool::new(false) };
    let leading = Mutex::new(Leading { edge, wakes: 0, draw: Draw::new(seed, &format!("{name} rounds")) });
    let pool = Pool::default();
    let all = Arc::new(Mutex::new(Outcomes::default()));
    thread::scope(|scope| {
        for number in 0..clients {
            let (meeting, leading, all) = (&meeting, &leading, all.clone());
            let mut client = Client::new(kind, service, &pool, Draw::new(seed, &format!("{name} {number}")));
            scope.spawn(move || {
                while let Some(round) = meeting.next_round(leading, service, goal) {
                    let before = client.outcomes().requests;
                    if client.ask(round) {
                        meeting.found_closed.store(true, Ordering::Relaxed);
                    }
                    goal.asked.fetch_add(client.outcomes().requests - before, Ordering::Relaxed);
                }
                *all.lock().unwrap_or_else(PoisonError::into_inner) += client.outcomes();
            });
        }
    });
    *all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the leader of a round knows.
struct Leading {
    edge: Edge,
    wakes: u64,
    draw: Draw,
}

impl Meeting {
    /// Waits for all; `None` when it is over.
    fn next_round(&self, leading: &Mutex<Leading>, service: &Service, goal: &Goal<'_>) -> Option<Round> {
        if self.all.wait().is_leader() {
            let mut leading = leading.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = service.wakes() != leading.wakes;
            leading.wakes = service.wakes();
            leading.edge.saw(self.found_closed.swap(false, Ordering::Relaxed) || woken);
            let round = Round { at: Instant::now() + leading.edge.pause(), watches: leading.draw.once_in(2) };
            let next = (!goal.is_reached()).then_some(round);
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
        }
        self.all.wait();
        *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
