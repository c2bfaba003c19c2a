//! The task that starts a queue's jobs, as long as there are some.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::attempt;
use super::marker::Stand;
use super::patience::Patience;
use super::queue::Queue;
use super::settings::Work;
use crate::log::chain;
use crate::server::Control;
use crate::store::{Millis, StoreError, now};

/// A job that is due as soon as this is waited for awake: to be started again would take about as long.
const SOON: Duration = Duration::from_secs(30);

/// So often results are forgotten that nobody is to see any more.
const PURGE: Duration = Duration::from_secs(60 * 60);

/// What there is to do next.
enum Next {
    /// Look again at once.
    Look,
    /// When somebody says so, or after this.
    Wait(Option<Duration>),
    /// The store could not be asked. When it may be asked again.
    Failed,
    /// Nothing.
    Leave,
}

/// Starts jobs until there are none.
pub(super) async fn drive(queue: Arc<Queue>, control: Control) {
    let mut patience = Patience::default();
    loop {
        let mut told = std::pin::pin!(queue.changed.notified());
        told.as_mut().enable();
        let next = look(&queue, &control).await;
        if !matches!(next, Next::Failed) {
            patience = Patience::default();
        }
        let wait = match next {
            Next::Look => continue,
            Next::Wait(wait) => wait.unwrap_or(PURGE).min(PURGE),
            Next::Failed => patience.wait(),
            Next::Leave => break,
        };
        tokio::select! {
            () = told => queue.jobs.tidy_now_and_then().await,
            () = sleep(wait) => queue.jobs.tidy_now_and_then().await,
            () = control.draining() => {}
        }
    }
    queue.jobs.tidy().await;
}

async fn look(queue: &Arc<Queue>, control: &Control) -> Next {
    if control.is_draining() {
        queue.abandon();
        return Next::Leave;
    }
    let wakes = queue.wakes();
    // Before a job is taken: a process that has committed to leave has to leave it.
    let Some(hold) = control.hold() else {
        queue.abandon();
        return Next::Leave;
    };
    let Some(settings) = queue.settings() else { return park(queue, wakes).await };
    let Work::Here { workers, .. } = settings.work else {
        // Outside workers have it now. What ran here when the process ended is for them, too.
        queue.jobs.marker.note(&queue.name, Stand::Nothing, || queue.wakes() == wakes).await;
        return leave(queue, wakes);
    };
    if queue.running() >= workers {
        return Next::Wait(None);
    }
    match queue.jobs.store.lease(&queue.name, now(), None).await {
        Ok(Some(job)) => {
            attempt::begin(queue, settings, job, hold, control);
            return Next::Look;
        }
        Ok(None) => {}
        Err(error) => {
            return failed(queue, &error);
        }
    }
    match queue.jobs.store.next_due(&queue.name).await {
        Ok(due) => rest(queue, due, wakes).await,
        Err(error) => failed(queue, &error),
    }
}

fn failed(queue: &Queue, error: &StoreError) -> Next {
    tracing::error!("jobs of {}: {}", queue.name, chain(error));
    Next::Failed
}

/// No route has the queue any more. What is left of it waits for one; what runs ends.
async fn park(queue: &Arc<Queue>, wakes: u64) -> Next {
    let stand = match queue.jobs.store.next_due(&queue.name).await {
        Ok(None) if queue.running() == 0 => Stand::Nothing,
        Ok(_) => Stand::Parked,
        Err(error) => return failed(queue, &error),
    };
    queue.jobs.marker.note(&queue.name, stand, || queue.wakes() == wakes).await;
    leave(queue, wakes)
}

/// There is nothing to do here, but what runs may have to be waited for.
fn leave(queue: &Queue, wakes: u64) -> Next {
    if queue.leave(wakes) { Next::Leave } else { look_or_wait(queue, wakes, None) }
}

/// None is due.
async fn rest(queue: &Arc<Queue>, due: Option<Millis>, wakes: u64) -> Next {
    let running = queue.running();
    let stand = match due {
        _ if running > 0 => Stand::Due(0),
        Some(due) => Stand::Due(due),
        None => Stand::Nothing,
    };
    // Before the process may leave: whoever starts it again looks at the marker.
    queue.jobs.marker.note(&queue.name, stand, || queue.wakes() == wakes).await;
    let Some(due) = due else { return leave(queue, wakes) };
    let wait = Duration::from_millis(due.saturating_sub(now()));
    if wait > SOON && !queue.let_go(wakes) && running == 0 {
        return Next::Look;
    }
    look_or_wait(queue, wakes, Some(wait))
}

/// Whoever has come since it was looked at did not find anybody who waited.
fn look_or_wait(queue: &Queue, wakes: u64, wait: Option<Duration>) -> Next {
    if queue.wakes() == wakes { Next::Wait(wait) } else { Next::Look }
}
