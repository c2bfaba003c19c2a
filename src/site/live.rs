//! The site at work now, which another may replace at any time.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use hyper::Request;
use hyper::body::Incoming;

use super::{Reply, Site};
use crate::guard::Held;
use crate::server::{Exchange, Serve};

/// Serves the current [`Site`]. Cheap to clone; all clones serve the same.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    site: ArcSwap<Site>,
    renew: Renew,
}

/// Looks whether there is something better than a site that only stands in.
type Renew = Box<dyn Fn() -> Option<Site> + Send + Sync>;

impl Live {
    /// Serves `site`. As long as it [only stands in](Site::is_provisional), `renew` is asked before each request whether
    /// there is a better one by now; it runs on the serving thread, so it has to be quick when there is none.
    pub fn new(site: Site, renew: impl Fn() -> Option<Site> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { site: ArcSwap::from_pointee(site), renew: Box::new(renew) }))
    }

    /// Replaces the site. Requests under way end under the one they began with.
    pub fn swap(&self, site: Site) {
        self.0.site.store(Arc::new(site));
    }

    /// The site at work.
    pub fn site(&self) -> Guard<Arc<Site>> {
        let site = self.0.site.load();
        if site.is_provisional
            && let Some(better) = (self.0.renew)()
        {
            self.swap(better);
            return self.0.site.load();
        }
        site
    }
}

impl Serve for Live {
    type Body = Held;
    type Future = Reply;

    fn serve(&self, request: Request<Incoming>, exchange: Exchange) -> Reply {
        Site::answer(&self.site(), request, exchange)
    }
}
