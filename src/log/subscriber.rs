//! The global `tracing` subscriber: filters, captures, queues.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;

use super::queue::Pushed;
use super::record::Record;
use super::{Log, writer};

/// Takes every event that passes the filter. Spans are not logged: what a line has to say is in its own fields.
pub struct Collector {
    filter: Targets,
    log: &'static Log,
}

impl Collector {
    pub fn new(filter: Targets, log: &'static Log) -> Self {
        Self { filter, log }
    }
}

impl Subscriber for Collector {
    /// Asked once for each place in the code, so that a disabled event costs one load.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.filter.would_enable(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<Registry>::max_level_hint(&self.filter)
    }

    fn event(&self, event: &Event<'_>) {
        match self.log.queue.push(Record::capture(event)) {
            Pushed::Done => {}
            Pushed::StartWriter => writer::start(self.log),
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
