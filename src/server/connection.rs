//! The life of one connection: what its first bytes say it is, closed so that nothing is lost.

use std::sync::Arc;

use super::exchange::Serve;
use super::framing::Refusal;
use super::link::Link;
use super::opening::{Opening, opening};
use super::transport::Transport;
use super::{http1, http2, linger};
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// Our side is closed after the last answer: linger, under this hold, so that the client can read it.
    Answered(Option<Hold>),
    /// A request is refused: write that under this hold, then linger.
    Refused(Refusal, Option<Hold>),
    /// Idle, and our side is closed: linger for the grace, holding nothing.
    Quiet,
    /// Nobody is there to say anything to.
    Over,
}

/// Serves one connection to its end.
pub async fn serve<T: Transport, S: Serve>(link: Arc<Link<T>>, service: Arc<S>, hold: Hold) {
    let ended = match opening(&link).await {
        Opening::Http1(held) => http1::serve(&link, held, hold, service).await,
        Opening::Http2(held) => http2::serve(&link, held, hold, service).await,
        Opening::Nothing(ended) => {
            if !matches!(ended, Ended::Refused(..)) {
                count(&link.shared.tally.noise); // a refusal is counted when it is written
            }
            ended
        }
    };
    linger::end(&link, ended).await;
}
