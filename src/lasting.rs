//! What outlives a site: places, pools of upstream connections, apps.
//!
//! A config is one immutable value that another replaces; what is under way is not to be lost by that. Whoever builds a
//! site asks here by name and settings: equal ones keep what there is, changed ones get something new, and what nobody
//! has any more, once the last request under an older config has ended, is gone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::app::{App, AppKind, AppSettings, Configured, Folders};
use crate::guard::{Places, Room};
use crate::job::Jobs;
use crate::process::Roster;
use crate::upstream::{Upstream, UpstreamSettings};

/// Everything that outlives a site.
#[derive(Debug, Default)]
pub struct Lasting {
    /// The places of the server (`""`) and of routes, by what tells a route from others.
    pub places: Registry<(String, Room), Places>,
    /// Pools of connections.
    pub upstreams: Registry<UpstreamSettings, Upstream>,
    /// Apps.
    pub apps: Apps,
    /// The commands that run.
    pub commands: Arc<Roster>,
    /// Background jobs; `None`: there is nowhere to keep them.
    pub jobs: Option<Arc<Jobs>>,
    /// Where apps run.
    pub folders: Arc<Folders>,
}

impl Lasting {
    /// Nothing yet; apps run in these folders.
    pub fn new(folders: Folders) -> Self {
        let commands = Arc::new(Roster::default());
        let jobs = folders.state.as_ref().map(|state| Jobs::new(&state.join("jobs"), commands.clone()));
        Self { folders: Arc::new(folders), commands, jobs, ..Self::default() }
    }

    /// The places of a route, or of the server (`""`).
    pub fn places(&self, of: String, room: Room) -> Arc<Places> {
        self.places.get((of, room), |(_, room)| Places::new(*room))
    }
}

/// Apps by their settings, and those that no config names any more until they are asleep.
#[derive(Debug, Default)]
pub struct Apps {
    configured: Registry<AppSettings, Configured>,
    /// Who names a unit, under whatever settings.
    units: Registry<String, ()>,
    all: Mutex<Vec<Weak<App>>>,
}

impl Apps {
    /// The one with these settings, made if there is none.
    pub fn get(&self, settings: AppSettings, folders: &Arc<Folders>) -> Arc<Configured> {
        self.configured.get(settings, |settings| {
            let unit = match &settings.kind {
                AppKind::Unit { unit, .. } => Some(self.units.get(unit.clone(), |_| Arc::new(()))),
                AppKind::Program(_) => None,
            };
            let configured = Configured::new(settings, folders, unit);
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner); // a list is whole after any panic
            all.retain(|app| app.strong_count() > 0);
            all.push(Arc::downgrade(&**configured));
            configured
        })
    }

    /// Those that a config names.
    pub fn configured(&self) -> Vec<Arc<Configured>> {
        self.configured.all()
    }

    /// Those, and all that still run.
    pub fn all(&self) -> Vec<Arc<App>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Things by their settings, for as long as somebody has them.
#[derive(Debug)]
pub struct Registry<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for Registry<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Registry<K, V> {
    /// The one with these settings, if there is one.
    pub fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
    {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).and_then(Weak::upgrade)
    }

    /// The one with these settings, made if there is none.
    pub fn get(&self, key: K, make: impl FnOnce(&K) -> Arc<V>) -> Arc<V> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner); // a map is whole after any panic
        if let Some(value) = all.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        all.retain(|_, value| value.strong_count() > 0);
        let value = make(&key);
        all.insert(key, Arc::downgrade(&value));
        value
    }

    /// All that somebody has.
    pub fn all(&self) -> Vec<Arc<V>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_keep_what_there_is_and_nobody_s_is_forgotten() {
        let registry = Registry::default();
        let make = |key: &&str| Arc::new((*key).to_owned());
        let one = registry.get("a", make);
        assert!(Arc::ptr_eq(&one, &registry.get("a", make)));
        assert!(!Arc::ptr_eq(&one, &registry.get("b", make)));
        assert_eq!(registry.all().len(), 1);
        drop(one);
        assert!(registry.all().is_empty());
        let _other = registry.get("c", make);
        assert_eq!(registry.0.lock().expect("no panic").len(), 1);
    }
}
