//! The record that stands for those that were dropped. It is made by hand: as an event it would have to pass the very
//! queue that was full.

use tracing::callsite::{Callsite, Identifier};
use tracing::field::FieldSet;
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};

use super::record::{Captured, MESSAGE, Record};

struct Here;

static METADATA: Metadata<'static> = Metadata::new(
    "log lines dropped",
    module_path!(),
    Level::WARN,
    Some(file!()),
    Some(line!()),
    Some(module_path!()),
    FieldSet::new(&[MESSAGE, "dropped"], Identifier(&Here)),
    Kind::EVENT,
);

impl Callsite for Here {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

/// Says how many records are missing here.
pub fn report(count: u64) -> Record {
    let message = format!("{count} log lines dropped: they came faster than they could be written");
    Record::new(&METADATA, vec![Some(Captured::Text(message)), Some(Captured::Unsigned(count))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_replays_like_an_event() {
        let record = report(3);
        let mut fields = Vec::new();
        record.replay(|event| fields.extend(event.fields().map(|field| field.name())));
        assert_eq!(fields, [MESSAGE, "dropped"]);
        assert_eq!(record.value("dropped"), Some(&Captured::Unsigned(3)));
        assert!(record.message().starts_with("3 log lines dropped"));
    }
}
