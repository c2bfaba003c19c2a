//! The one thread that writes.

use std::thread;
use std::time::{Duration, Instant};

use super::Log;
use super::dropped;
use super::queue::Batch;
use super::sink::Sink;

/// Formatting a line needs little; what is not touched costs nothing anyway.
const STACK_BYTES: usize = 256 * 1024;

/// Starts the writer. When no thread can be had (a limit on tasks), records wait until the next one is logged.
pub fn start(log: &'static Log) {
    let writer = thread::Builder::new().name("log".into()).stack_size(STACK_BYTES);
    if writer.spawn(move || run(log)).is_err() {
        log.queue.abandon_writer();
    }
}

/// See [`super::flush`].
pub fn flush(log: &'static Log, deadline: Duration) -> bool {
    if log.queue.lacks_writer() {
        return flush_here(log, Instant::now() + deadline);
    }
    log.queue.flush(deadline)
}

/// There is no writer: nothing was logged, or no thread could be had and this may be the last chance.
fn flush_here(log: &'static Log, until: Instant) -> bool {
    let mut batch = Batch::default();
    log.queue.take_now(&mut batch);
    if batch.records.is_empty() {
        return true;
    }
    let mut sink = Sink::new(log);
    write(&mut sink, &batch);
    sink.settle(until)
}

fn run(log: &'static Log) {
    let mut sink = Sink::new(log);
    let mut batch = Batch::default();
    loop {
        log.queue.take(&mut batch);
        write(&mut sink, &batch);
        if let Some(flush) = batch.flush {
            log.queue.flushed(flush, sink.settle(flush.until));
        }
    }
}

fn write(sink: &mut Sink, batch: &Batch) {
    sink.begin();
    if batch.dropped > 0 {
        sink.write(&dropped::report(batch.dropped));
    }
    for record in &batch.records {
        sink.write(record);
    }
}
