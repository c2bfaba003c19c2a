//! The loss harness: clients of all kinds ask at the very edge of sleep, thousands of times, and every outcome counts.
//!
//! Without arguments it is a short test of dormouse; `tests/loss/run` is the long run beside its peers. README.md here
//! says what the table means.

mod activator;
mod clients;
mod draw;
mod edge;
mod options;
mod outcomes;
mod peers;
mod servers;
mod table;
mod trial;

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clients::{KINDS, Kind};
use options::{Options, USAGE};
use peers::Peers;
use servers::{Place, Server};
use trial::{Size, Trial};

/// The quiet after which a server sleeps: short, so that it does so many times.
const AFTER: [Duration; 1] = [Duration::from_millis(40)];

/// The same where the answer has `Keep-Alive: timeout`, which is whole seconds.
const AFTER_WITH_HINT: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(4)];

/// No trial takes longer, however slow the machine; what was not asked by then is a failure.
const TRIAL_LIMIT: Duration = Duration::from_secs(600);

/// Whatever hangs, the harness does not.
const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("loss: {fault}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    if options.lists {
        KINDS.iter().for_each(|kind| println!("{}: test", kind.name));
        return ExitCode::SUCCESS;
    }
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("loss: still running after {} s", LIMIT.as_secs());
        std::process::exit(1);
    });
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loss: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all that is asked for; how many checks failed.
fn run(options: &Options) -> io::Result<usize> {
    let began = Instant::now();
    let mut place = Place::new(options.dormouse.clone())?;
    let mut servers = vec![Server::Dormouse];
    if let Some(go) = &options.go {
        let afters = [&AFTER[..], &AFTER_WITH_HINT].concat();
        place.peers = Some(Peers::start(place.folder(), go, &afters)?);
        servers = Server::ALL.to_vec();
    }
    let (kept, quick): (Vec<Kind>, Vec<Kind>) =
        KINDS.into_iter().filter(|kind| options.wants(kind.name)).partition(|kind| kind.honours_hint);
    if !(kept.is_empty() && quick.is_empty()) {
        println!("seed {}, {} requests of each kind\n{}", options.seed, options.requests, table::heading());
    }
    let place = &place;
    let trials = thread::scope(|scope| {
        // Those that mostly wait run together, one server at a time; in the short form, to save time, beside the others.
        let start = |server: Server| -> Vec<_> {
            let slow = pairs(&[server], &kept).collect::<Vec<_>>().into_iter();
            slow.map(|(server, kind)| scope.spawn(move || long(place, server, kind, options))).collect()
        };
        let beside = if options.go.is_none() { start(Server::Dormouse) } else { Vec::new() };
        let mut trials: Vec<io::Result<Trial>> =
            pairs(&servers, &quick).map(|(server, kind)| short(place, server, kind, options)).collect();
        trials.extend(beside.into_iter().map(joined));
        if options.go.is_some() {
            servers.iter().for_each(|server| trials.extend(start(*server).into_iter().map(joined)));
        }
        trials.into_iter().collect::<io::Result<Vec<Trial>>>()
    })?;
    Ok(conclude(&trials, began))
}

fn joined(trial: thread::ScopedJoinHandle<'_, io::Result<Trial>>) -> io::Result<Trial> {
    trial.join().expect("a trial does not panic")
}

/// Every server with every kind of client that it understands.
fn pairs(servers: &[Server], kinds: &[Kind]) -> impl Iterator<Item = (Server, Kind)> {
    kinds
        .iter()
        .flat_map(move |kind| servers.iter().map(move |server| (*server, *kind)))
        .filter(|(server, kind)| server.speaks(kind))
}

/// A trial that sleeps every few dozen milliseconds.
fn short(place: &Place, server: Server, kind: Kind, options: &Options) -> io::Result<Trial> {
    let services = if server == Server::Proxyd { 20 } else { 10 }; // whose pauses are longer
    let size = Size { requests: options.requests, services, clients: 3, limit: TRIAL_LIMIT };
    told(trial::run(place, server, kind, size, &AFTER, options.seed))
}

/// A trial that sleeps every few seconds, so that many connections have to be open at once.
fn long(place: &Place, server: Server, kind: Kind, options: &Options) -> io::Result<Trial> {
    const ROUNDS: usize = 5;
    const CLIENTS: usize = 25;
    let requests = usize::try_from(options.requests).unwrap_or(usize::MAX);
    let services = requests.div_ceil(ROUNDS * CLIENTS).clamp(1, 12);
    let size = Size { requests: options.requests, services, clients: CLIENTS, limit: TRIAL_LIMIT };
    told(trial::run(place, server, kind, size, &AFTER_WITH_HINT, options.seed))
}

/// Prints the line of a trial that ran.
fn told(trial: io::Result<Trial>) -> io::Result<Trial> {
    trial.inspect(|trial| println!("{}", table::row(trial)))
}

/// Says what is wrong; how many checks failed.
fn conclude(trials: &[Trial], began: Instant) -> usize {
    let mut failed = 0;
    for trial in trials {
        let faults = table::faults(trial);
        failed += usize::from(!faults.is_empty());
        for fault in faults {
            println!("FAILED: {}, {}: {fault}", trial.server.name(), trial.kind.name);
        }
        if trial.server != Server::Dormouse
            && let [first, ..] = &trial.past.failures[..]
        {
            let (name, count) = (trial.server.name(), trial.past.failures.len());
            println!("note: {name}, {}: {count} ends out of order, the first: {first}", trial.kind.name);
        }
    }
    let is_compared = trials.iter().any(|trial| trial.server == Server::Go);
    let comparison = table::comparison(trials);
    if let Some(fault) = &comparison {
        println!("FAILED: {fault}");
    }
    let checks = trials.len() + usize::from(is_compared);
    failed += usize::from(comparison.is_some());
    println!("took {} s", began.elapsed().as_secs());
    println!("{} passed, {failed} failed", checks - failed);
    failed
}
