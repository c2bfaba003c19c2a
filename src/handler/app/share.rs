//! `connections` and `rate` of a route: how much of an app is its.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::handler::proxy::{CONNECTIONS, RATE};
use crate::schema::Reader;
use crate::upstream::Pace;

/// How many requests of a route the app is asked at once, and how often.
pub struct Share {
    pace: Option<Pace>,
    places: Arc<Semaphore>,
}

impl Share {
    /// Reads it; `None` if something is wrong, which the reader has been told.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let connections = usize::try_from(reader.integer(&CONNECTIONS)?).ok()?;
        let places = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        Some(Self { pace: reader.rate(&RATE).map(Pace::new), places })
    }

    /// Waits for a request's turn, and for a place; `None` when too many wait already.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if let Some(pace) = &self.pace
            && !pace.turn().await
        {
            return None;
        }
        self.places.clone().acquire_owned().await.ok()
    }
}
