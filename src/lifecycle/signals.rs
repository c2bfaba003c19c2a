//! Signals reported, not acted upon: the keeper decides.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use futures_core::Stream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals as Source;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT: leave.
    Stop(&'static str),
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals the daemon listens to. Several of a kind may be reported as one.
pub struct Signals(Source);

impl Signals {
    /// Installs the handlers. Before this a signal simply kills the process, so it comes before the configuration is
    /// read. Needs a runtime: signal-hook-tokio panics outside of one.
    ///
    /// # Errors
    /// When the kernel refuses the handler or its pipe.
    pub fn install() -> io::Result<Self> {
        Source::new([SIGTERM, SIGINT, SIGHUP]).map(Self)
    }

    /// The next signal.
    pub async fn next(&mut self) -> Request {
        match poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).await {
            Some(SIGHUP) => Request::Reload,
            Some(SIGINT) => Request::Stop("SIGINT"),
            Some(_) => Request::Stop("SIGTERM"),
            None => std::future::pending().await, // only after close(), which nobody calls
        }
    }
}
