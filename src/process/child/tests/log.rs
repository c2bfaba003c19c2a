//! What the app logs, as a test sees it.

use std::collections::VecDeque;
use std::fmt;

use rustix::process::Pid;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use super::PATIENCE;

/// What this thread logs, while it lives.
pub struct Log {
    texts: mpsc::UnboundedReceiver<String>,
    /// Of the stream that was not asked for: which of two comes first is not told.
    unread: VecDeque<String>,
    _guard: DefaultGuard,
}

impl Log {
    pub fn start() -> Self {
        let (sender, texts) = mpsc::unbounded_channel();
        Self { texts, unread: VecDeque::new(), _guard: tracing::subscriber::set_default(Capture(sender)) }
    }

    /// All that is there already, as `STREAM blog: LINE`.
    pub fn there_is(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.texts.try_recv().ok()).collect()
    }

    /// Waits for the next line that `stream` of the app printed.
    pub async fn line(&mut self, stream: &str) -> String {
        let prefix = format!("{stream} blog: ");
        if let Some(at) = self.unread.iter().position(|text| text.starts_with(&prefix)) {
            return self.unread.remove(at).expect("it is there")[prefix.len()..].to_owned();
        }
        let next = async {
            loop {
                let text = self.texts.recv().await.expect("the log goes on");
                match text.strip_prefix(&prefix) {
                    Some(line) => return line.to_owned(),
                    None => self.unread.push_back(text),
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a line in the log")
    }

    /// The next line, a process id.
    pub async fn pid(&mut self) -> Pid {
        Pid::from_raw(self.line("stdout").await.parse().expect("a number")).expect("not zero")
    }
}

struct Capture(mpsc::UnboundedSender<String>);

impl tracing::Subscriber for Capture {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "dormouse::app"
    }
    fn event(&self, event: &tracing::Event<'_>) {
        #[derive(Default)]
        struct Fields([String; 3]);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                let place = ["app", "stream", "message"].iter().position(|name| *name == field.name());
                self.0[place.expect("no other field")] = format!("{value:?}");
            }
            fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
                self.record_debug(field, &format_args!("{value}"));
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let [app, stream, message] = fields.0;
        assert_eq!(app, "blog");
        let _ = self.0.send(format!("{stream} {message}"));
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
