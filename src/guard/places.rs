//! `limits.in_flight` and `limits.queue`: how many requests at once, and how many may wait for a place.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::AcqRel;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Admission, Guard, Refusal};
use crate::handler::Head;
use crate::server::Exchange;

/// When a client that found no place may try again, in seconds.
const RETRY_IN: HeaderValue = HeaderValue::from_static("1");

/// How many requests at once, and how many more may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    /// At once.
    pub in_flight: usize,
    /// In the queue for a place; 0: none.
    pub queue: usize,
}

/// The places for the requests of a route, or of the server.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    queue: usize,
    waiting: AtomicUsize,
}

/// A place, until dropped.
pub type Place = OwnedSemaphorePermit;

/// What a request finds that wants a place.
pub enum Entry<F> {
    /// One.
    Place(Place),
    /// None yet.
    Wait(F),
    /// None, and the queue is full too.
    Full,
}

impl Places {
    /// All free.
    pub fn new(room: Room) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(room.in_flight.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, queue: room.queue, waiting: AtomicUsize::new(0) })
    }

    /// Takes a place, or one in the queue, which is first come, first served.
    pub fn enter(self: &Arc<Self>) -> Entry<impl Future<Output = Option<Place>> + Send + use<>> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Entry::Place(place);
        }
        if self.waiting.fetch_add(1, AcqRel) >= self.queue {
            self.waiting.fetch_sub(1, AcqRel);
            return Entry::Full;
        }
        let queued = Queued(self.clone());
        Entry::Wait(async move { queued.0.free.clone().acquire_owned().await.ok() })
    }

    /// How many requests wait for a place.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// One in the queue, also when it leaves without having got a place.
struct Queued(Arc<Places>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, AcqRel);
    }
}

/// There is no place: 503, and when to come again.
pub fn no_place() -> Refusal {
    let headers = HeaderMap::from_iter([(RETRY_AFTER, RETRY_IN)]);
    Refusal { status: StatusCode::SERVICE_UNAVAILABLE, headers }
}

/// The places of one route.
pub(super) struct OfRoute(pub Arc<Places>);

impl Guard for OfRoute {
    fn admit(&self, _: &Head<'_>, _: &Exchange) -> Admission {
        match self.0.enter() {
            Entry::Place(place) => Admission::Pass(Some(Box::new(place))),
            Entry::Full => Admission::Refuse(no_place()),
            Entry::Wait(place) => Admission::Later(Box::pin(async move {
                match place.await {
                    Some(place) => Ok(Some(Box::new(place) as super::Permit)),
                    None => Err(no_place()),
                }
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn place<F>(entry: Entry<F>) -> Place {
        match entry {
            Entry::Place(place) => place,
            Entry::Wait(_) => panic!("it waits"),
            Entry::Full => panic!("it is full"),
        }
    }

    #[test]
    fn who_finds_no_place_waits_in_turn_or_is_refused() {
        let places = Places::new(Room { in_flight: 1, queue: 2 });
        let taken = place(places.enter());
        let (Entry::Wait(first), Entry::Wait(second)) = (places.enter(), places.enter()) else {
            panic!("two may wait");
        };
        assert!(matches!(places.enter(), Entry::Full));
        let (mut first, mut second) = (pin!(first), pin!(second));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        drop(taken);
        assert!(second.as_mut().poll(&mut cx).is_pending(), "the first one's turn");
        let Poll::Ready(Some(taken)) = first.as_mut().poll(&mut cx) else { panic!("its turn") };
        drop(taken);
        assert!(matches!(second.as_mut().poll(&mut cx), Poll::Ready(Some(_))));
    }

    #[test]
    fn who_leaves_the_queue_leaves_its_place_in_it() {
        let places = Places::new(Room { in_flight: 1, queue: 1 });
        let taken = place(places.enter());
        for _ in 0..3 {
            assert!(matches!(places.enter(), Entry::Wait(_)), "the one before has left");
        }
        assert_eq!(places.waiting(), 0);
        drop(taken);
        drop(place(places.enter()));
    }
}
