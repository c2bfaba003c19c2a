//! One event, owned: captured where it happens, replayed where it is written.

use std::error::Error;
use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Value};

/// The name `tracing` gives the text of an event.
pub const MESSAGE: &str = "message";

/// An event and its values. Events hold references into the stack of who logs, so the values are copied.
#[derive(Debug)]
pub struct Record {
    pub time: SystemTime,
    pub metadata: &'static Metadata<'static>,
    /// By the index of the field in `metadata`; `None` where the event gave no value.
    values: Vec<Option<Captured>>,
}

/// A value as it was given, or the text it had then.
#[derive(Debug, PartialEq)]
pub enum Captured {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
}

impl Record {
    /// Copies an event.
    pub fn capture(event: &Event<'_>) -> Self {
        let mut values = Vec::new();
        values.resize_with(event.metadata().fields().len(), || None);
        let mut record = Self { time: SystemTime::now(), metadata: event.metadata(), values };
        event.record(&mut record);
        record
    }

    /// A record of our own; one value for each field of `metadata`.
    pub fn new(metadata: &'static Metadata<'static>, values: Vec<Option<Captured>>) -> Self {
        debug_assert_eq!(values.len(), metadata.fields().len());
        Self { time: SystemTime::now(), metadata, values }
    }

    /// Shows the event again, as if it happened now.
    pub fn replay(&self, show: impl FnOnce(&Event<'_>)) {
        let values: Vec<_> = self.values.iter().map(|value| value.as_ref().map(Captured::as_value)).collect();
        show(&Event::new(self.metadata, &self.metadata.fields().value_set_all(&values)));
    }

    /// The text of the event; empty when it has fields only.
    pub fn message(&self) -> &str {
        match self.value(MESSAGE) {
            Some(Captured::Text(text)) => text,
            _ => "",
        }
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&Captured> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// All fields that have a value, in the order of the event.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Captured)> {
        let names = self.metadata.fields().iter().map(|field| field.name());
        names.zip(&self.values).filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    fn set(&mut self, field: &Field, value: Captured) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(value);
        }
    }
}

impl Captured {
    fn as_value(&self) -> &dyn Value {
        match self {
            Self::Text(value) => value,
            Self::Unsigned(value) => value,
            Self::Signed(value) => value,
            Self::Float(value) => value,
            Self::Flag(value) => value,
        }
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(value) => f.write_str(value),
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Flag(value) => value.fmt(f),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Captured::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Captured::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Captured::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Captured::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Captured::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Captured::Flag(value));
    }

    /// The whole chain: the last cause is often the one that helps.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.set(field, Captured::Text(text));
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::span;

    use super::*;

    /// A subscriber that captures everything.
    #[derive(Clone, Default)]
    struct Capture(Arc<Mutex<Vec<Record>>>);

    impl tracing::Subscriber for Capture {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().expect("not poisoned").push(Record::capture(event));
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    /// The records of the events that `log` causes.
    pub fn records_of(log: impl FnOnce()) -> Vec<Record> {
        let capture = Capture::default();
        tracing::subscriber::with_default(capture.clone(), log);
        std::mem::take(&mut *capture.0.lock().expect("not poisoned"))
    }

    /// What a visitor is told about an event, call by call.
    #[derive(Default, Debug, PartialEq)]
    struct Told(Vec<String>);

    impl Visit for Told {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.push(format!("{} text {value:?}", field.name()));
        }
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.push(format!("{} text {value}", field.name()));
        }
        fn record_u64(&mut self, field: &Field, value: u64) {
            self.0.push(format!("{} u64 {value}", field.name()));
        }
        fn record_i64(&mut self, field: &Field, value: i64) {
            self.0.push(format!("{} i64 {value}", field.name()));
        }
        fn record_f64(&mut self, field: &Field, value: f64) {
            self.0.push(format!("{} f64 {value}", field.name()));
        }
        fn record_bool(&mut self, field: &Field, value: bool) {
            self.0.push(format!("{} bool {value}", field.name()));
        }
    }

    #[test]
    fn replay_tells_what_the_event_told() {
        let records = records_of(|| {
            let skipped: Option<u64> = None;
            tracing::info!(
                woken_by = %"192.0.2.7:4711", start_ms = 3.5, served = 7_u64, change = -2, cold = true,
                name = "a\nb", listed = ?["x"], skipped, big = u128::MAX, "awake: {}", "hello"
            );
        });
        let mut told = Told::default();
        records[0].replay(|event| event.record(&mut told));
        let expected = [
            "message text awake: hello",
            "woken_by text 192.0.2.7:4711",
            "start_ms f64 3.5",
            "served u64 7",
            "change i64 -2",
            "cold bool true",
            "name text a\nb",
            "listed text [\"x\"]",
            "big text 340282366920938463463374607431768211455",
        ];
        told.0.sort_unstable();
        let mut expected: Vec<_> = expected.map(str::to_owned).into();
        expected.sort_unstable();
        assert_eq!(told.0, expected);
        records[0].replay(|event| assert!(std::ptr::eq(event.metadata(), records[0].metadata)));
    }

    #[test]
    fn an_error_is_its_whole_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the config")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = Outer("x".parse::<u8>().expect_err("not a number"));
        let records = records_of(|| tracing::error!(error = &error as &dyn Error, "oh"));
        assert_eq!(
            records[0].value("error"),
            Some(&Captured::Text("cannot read the config: invalid digit found in string".into()))
        );
    }
}
