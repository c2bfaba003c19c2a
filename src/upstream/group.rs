//! Several upstreams that are as good as each other.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use hyper::Request;

use super::failure::Failure;
use super::pool::{Answered, How, Upstream};
use crate::guard::RequestBody;

/// Upstreams taken in turn. Those that fail are passed over for a while; when all have failed, all are tried.
#[derive(Debug)]
pub struct Group {
    upstreams: Vec<Arc<Upstream>>,
    next: AtomicUsize,
}

impl Group {
    /// At least one.
    pub fn new(upstreams: Vec<Arc<Upstream>>) -> Self {
        debug_assert!(!upstreams.is_empty());
        Self { upstreams, next: AtomicUsize::new(0) }
    }

    /// All of them.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// Closes the connections on which nothing is asked.
    pub fn close_idle(&self) {
        self.upstreams.iter().for_each(|upstream| upstream.close_idle());
    }

    /// Asks the next one; another one, as long as nothing of the request has been written. `prepare` sees the request
    /// before each of them.
    ///
    /// # Errors
    /// When there is no answer; with whom was asked last.
    pub async fn ask(
        &self,
        mut request: Box<Request<RequestBody>>,
        how: &How,
        prepare: impl Fn(&Upstream, &mut Request<RequestBody>),
    ) -> Result<Answered, Failure> {
        let mut failed = None;
        for upstream in self.in_turn() {
            prepare(upstream, &mut request);
            match upstream.ask(request, how).await {
                Ok(answered) => return Ok(answered),
                Err((failure, Some(unwritten))) if failure.is_upstreams() => {
                    (request, failed) = (unwritten, Some(failure));
                }
                Err((failure, _)) => return Err(failure),
            }
        }
        Err(failed.expect("a group has at least one upstream"))
    }

    /// All, those that are well first, beginning where the last request did not.
    fn in_turn(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let count = self.upstreams.len();
        let start = if count > 1 { self.next.fetch_add(1, Relaxed) % count } else { 0 };
        let turn = move |aside: bool| {
            let turned = self.upstreams[start..].iter().chain(&self.upstreams[..start]);
            turned.filter(move |upstream| count == 1 && !aside || count > 1 && upstream.is_aside() == aside)
        };
        turn(false).chain(turn(true))
    }
}
