//! Who uses an app, and since when nobody does.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::App;
use crate::server::{Exchange, KeepsAwake};

/// Keeps an app from being stopped until dropped; what its end means for the app's quiet is the policy of its request.
#[derive(Debug)]
pub struct Lease {
    app: Arc<App>,
    policy: KeepsAwake,
    /// A stream whose policy lets the app sleep holds nothing.
    holds: bool,
    /// Its place among the requests of its route.
    place: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The app counts it already.
    pub(super) fn new(app: Arc<App>, exchange: &Exchange) -> Self {
        Self { app, policy: exchange.policy(), holds: true, place: None }
    }

    /// Keeps a place until its end, or until it is a stream.
    pub fn keep(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// A piece of the answer, or of a stream, has passed.
    pub fn moved(&self) {
        if !self.holds && self.policy == KeepsAwake::WhileActive {
            self.app.touch();
        }
    }

    /// The answer is a stream, which may last for ever: from here on the request's policy decides whether it holds. What
    /// is returned resolves when the app is about to be stopped over it.
    pub fn become_stream(&mut self, exchange: &Exchange) -> impl Future<Output = ()> + Send + use<> {
        self.policy = exchange.policy();
        self.place = None;
        if self.policy != KeepsAwake::Yes && self.holds {
            self.holds = false;
            self.app.note_unheld(true);
            self.app.release(self.policy != KeepsAwake::No);
        }
        let (app, is_held) = (self.app.clone(), self.holds);
        async move {
            if is_held {
                std::future::pending::<()>().await;
            }
            app.until_stopping().await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.holds {
            self.app.release(self.policy != KeepsAwake::No);
        } else {
            self.app.note_unheld(false);
        }
    }
}
