//! Measurements: `cargo test --release --lib store::tests::speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::*;

#[test]
#[ignore = "a measurement"]
fn submissions() {
    for callers in [1, 10, 100] {
        let directory = Directory::new();
        let store = directory.open();
        let mut waits = run(async {
            store.accept("q", 1).await;
            let begin = Instant::now();
            let callers: Vec<_> = (0..callers)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        let mut waits = Vec::new();
                        while begin.elapsed() < Duration::from_secs(5) {
                            let sent = Instant::now();
                            store.accept("q", 1).await;
                            waits.push(sent.elapsed());
                        }
                        waits
                    })
                })
                .collect();
            let mut waits = Vec::new();
            for caller in callers {
                waits.extend(caller.await.expect("no panic"));
            }
            waits
        });
        waits.sort();
        let (median, slow) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
        println!(
            "{callers:>3} callers: {:>6}/s, {:>5} commits/s, median {median:?}, 99 % {slow:?}, file {} KiB",
            waits.len() / 5,
            store.commits() / 5,
            fs::metadata(directory.file()).expect("it is there").len() / 1024
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn opening_with_many_that_are_over() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        for _ in 0..1000 {
            let ids = futures_of(100, || store.accept("q", 1)).await;
            futures_of_each(&ids, |id| store.cancel(id, 1, 99)).await;
        }
        let after_kill = directory.as_after_kill();
        // Or opening would wait until the copy is on disk.
        fs::File::open(after_kill.file()).and_then(|file| file.sync_all()).expect("it can be written");
        store.close().await;
        for (name, directory) in [("closed", &directory), ("killed", &after_kill)] {
            let store = directory.open();
            let begin = Instant::now();
            assert_eq!(store.summary().await.expect("it works"), []);
            let opened = begin.elapsed();
            let begin = Instant::now();
            store.list("q", None, 50).await.expect("it works");
            let length = fs::metadata(directory.file()).expect("it is there").len() / 1024;
            println!(
                "100,000 over, {name}: open {opened:?}, a list of 50 {:?}, {length} KiB",
                begin.elapsed()
            );
            let begin = Instant::now();
            store.close().await;
            println!("close {:?}", begin.elapsed());
        }
    });
}

async fn futures_of<T, F: Future<Output = T>>(number: usize, call: impl Fn() -> F) -> Vec<T> {
    join((0..number).map(|_| call()).collect()).await
}

async fn futures_of_each<T, F: Future<Output = T>>(ids: &[JobId], call: impl Fn(JobId) -> F) -> Vec<T> {
    join(ids.iter().map(|id| call(*id)).collect()).await
}

/// All at once: each is sent before the first answer is waited for.
async fn join<T, F: Future<Output = T>>(calls: Vec<F>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none() {
                match call.as_mut().poll(context) {
                    std::task::Poll::Ready(made) => *done = Some(made),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
