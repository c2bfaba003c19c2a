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

    /// All, those that are well first, beginning where the last request did not. Who is well is asked once: it changes
    /// while they are asked, and with time.
    fn in_turn(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let count = self.upstreams.len();
        if count == 1 {
            return self.upstreams.iter().chain(Vec::new());
        }
        let start = self.next.fetch_add(1, Relaxed) % count;
        let turned = self.upstreams[start..].iter().chain(&self.upstreams[..start]);
        let (aside, mut well): (Vec<_>, Vec<_>) = turned.partition(|upstream| upstream.is_aside());
        well.extend(aside);
        [].iter().chain(well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Origin, UpstreamSettings};

    /// An upstream whose port nobody listens on.
    fn dead() -> Arc<Upstream> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let origin = Origin::parse(&address).expect("an address");
        Upstream::new(&UpstreamSettings { origin, connections: 1, rate: None })
    }

    #[tokio::test]
    async fn each_is_asked_once_though_they_fail_meanwhile() {
        let group = Group::new(vec![dead(), dead()]);
        for state in ["well", "aside"] {
            let asked = AtomicUsize::new(0);
            let request = Box::new(Request::new(RequestBody::empty()));
            let note = |_: &Upstream, _: &mut Request<RequestBody>| _ = asked.fetch_add(1, Relaxed);
            assert!(group.ask(request, &How::default(), note).await.is_err());
            assert_eq!(asked.into_inner(), 2, "all of them {state}");
        }
    }
}
