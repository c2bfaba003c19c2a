//! Where a config comes from, and what to do when it is bad.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::last_good::LastGood;
use super::read::read;
use super::stamp::Stamp;
use super::{Diagnostics, Loaded};
use crate::handler::unavailable::Unavailable;
use crate::handler::welcome::Welcome;
use crate::lasting::Lasting;
use crate::schema::{Fault, Place};
use crate::server::Settings;
use crate::site::Site;

/// The file that is read if no other is named.
pub const DEFAULT_FILE: &str = "/etc/dormouse/dormouse.toml";

/// A config file, and what is known beside it.
pub struct Source {
    file: PathBuf,
    /// A file somebody named must be there.
    is_named: bool,
    sockets: Option<Vec<String>>,
    after: Option<Option<Duration>>,
    last_good: Option<LastGood>,
    lasting: Arc<Lasting>,
    /// The file as it was when last read.
    seen: Mutex<Option<Stamp>>,
}

/// What a start has to work with.
pub enum Outcome {
    /// The config, or the welcome page if there is none yet.
    Good(Loaded),
    /// The config is bad: the last good one.
    LastGood(Diagnostics, Loaded),
    /// The config is bad and there is no good one: a site that answers everything with 503.
    Unavailable(Diagnostics, Loaded),
}

impl Outcome {
    /// What to put to work, and what is wrong.
    pub fn into_parts(self) -> (Loaded, Option<Diagnostics>) {
        match self {
            Self::Good(loaded) => (loaded, None),
            Self::LastGood(diagnostics, loaded) | Self::Unavailable(diagnostics, loaded) => {
                (loaded, Some(diagnostics))
            }
        }
    }
}

impl Source {
    /// The file that was named, or [`DEFAULT_FILE`], which need not be there.
    pub fn new(named: Option<&Path>) -> Self {
        Self {
            file: named.unwrap_or(Path::new(DEFAULT_FILE)).to_owned(),
            is_named: named.is_some(),
            sockets: None,
            after: None,
            last_good: None,
            lasting: Arc::default(),
            seen: Mutex::new(None),
        }
    }

    /// Keeps the last good config in this directory.
    #[must_use]
    pub fn with_state(mut self, directory: &Path) -> Self {
        self.last_good = Some(LastGood::new(directory));
        self
    }

    /// The names of the sockets there are: a route for any other is an error.
    #[must_use]
    pub fn with_sockets(mut self, names: Vec<String>) -> Self {
        self.sockets = Some(names);
        self
    }

    /// Overrides `sleep.after`; `None` is never.
    #[must_use]
    pub fn with_after(mut self, after: Option<Duration>) -> Self {
        self.after = Some(after);
        self
    }

    /// Builds sites of what outlives them here.
    #[must_use]
    pub fn with_lasting(mut self, lasting: Arc<Lasting>) -> Self {
        self.lasting = lasting;
        self
    }

    /// What outlives its sites.
    pub fn lasting(&self) -> &Arc<Lasting> {
        &self.lasting
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the config for a start, which must not fail: what is bad is replaced by something that keeps the port alive.
    pub fn load(&self) -> Outcome {
        let diagnostics = match self.read() {
            Ok(loaded) => return Outcome::Good(loaded),
            Err(diagnostics) => diagnostics,
        };
        let last_good = self.last_good.as_ref().and_then(LastGood::read);
        match last_good.and_then(|text| self.parse(&text).ok()) {
            Some(mut loaded) => {
                loaded.site.is_provisional = true;
                Outcome::LastGood(diagnostics, loaded)
            }
            None => {
                let site = Site::stand_in("unavailable", Box::new(Unavailable), false);
                let loaded = Loaded { site, settings: Settings::default(), idle_apps: Vec::new() };
                Outcome::Unavailable(diagnostics, self.finish(loaded))
            }
        }
    }

    /// Reads the config, and keeps it as the last good one if it is good.
    pub fn read(&self) -> Result<Loaded, Diagnostics> {
        let text = self.text()?;
        let loaded = self.parse(text.as_deref().unwrap_or_default())?;
        if let (Some(last_good), Some(text)) = (&self.last_good, &text)
            && let Err(error) = last_good.keep(text)
        {
            tracing::warn!(file = %last_good.file().display(), %error, "cannot keep the last good config");
        }
        Ok(loaded)
    }

    /// What a file with this text would say.
    pub fn parse(&self, text: &str) -> Result<Loaded, Diagnostics> {
        match read(text, self.sockets.as_deref(), &self.lasting) {
            Ok(loaded) => Ok(self.finish(loaded)),
            Err(faults) => Err(Diagnostics::faulty(&self.file, text.to_owned(), faults)),
        }
    }

    /// Reads the config again if the file has changed since it was last read: one `stat` if it has not.
    pub fn look(&self) -> Option<Outcome> {
        let is_same = *self.seen.lock().unwrap_or_else(|poison| poison.into_inner()) == Stamp::of(&self.file);
        (!is_same).then(|| self.load())
    }

    /// The file's text; `None` if it need not be there and is not.
    fn text(&self) -> Result<Option<String>, Diagnostics> {
        // Before the reading: a change in between shows at the next look.
        let stamp = Stamp::of(&self.file);
        *self.seen.lock().unwrap_or_else(|poison| poison.into_inner()) = stamp;
        let bytes = match std::fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_named => return Ok(None),
            Err(error) => return Err(Diagnostics::unreadable(&self.file, explain(&error))),
        };
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let fault =
                Fault::new(&Place::new(at..at + 1), "this is not UTF-8").help("save the file as UTF-8");
            Diagnostics::faulty(
                &self.file,
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                vec![fault],
            )
        })
    }

    /// Fills in what the file does not say.
    fn finish(&self, mut loaded: Loaded) -> Loaded {
        if let Some(after) = self.after {
            loaded.settings.sleep.after = after;
        }
        if loaded.site.routes.is_empty() {
            let (config, after) = (self.file.display().to_string(), loaded.settings.sleep.after);
            loaded.site = Site::stand_in("welcome", Box::new(Welcome { config, after }), true);
        }
        loaded
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "this is a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
