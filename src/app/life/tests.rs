use super::*;
use crate::app::waking::Waiting;
use crate::app::watch::Quiet;
use crate::app::{AppSettings, Configured};
use crate::lasting::Apps;
use crate::upstream::Origin;

fn settings(sleep_after: Option<Duration>) -> AppSettings {
    let origin = Origin::parse("unix:/run/wiki.sock").expect("an address");
    AppSettings {
        name: "wiki".to_owned(),
        kind: AppKind::Unit { unit: "dormouse-app-wiki.service".to_owned(), origin },
        ready: None,
        start_within: Duration::from_secs(30),
        stop_within: Duration::from_secs(10),
        sleep_after,
        busy: None,
        busy_at_most: Duration::from_secs(3600),
        queue: 1,
        shows_page: false,
        never_wake: Vec::new(),
        asleep_status: 200,
    }
}

fn app() -> Arc<Configured> {
    Configured::new(&settings(None), &Arc::default(), None)
}

/// Else an app that comes up in a drain would be stopped before the request that it was started for finds it up.
#[test]
fn who_waits_has_it_before_it_is_stopped() {
    let app = app();
    let waiting = Waiting::begin(&app).expect("room");
    assert!(matches!(app.quiet(true), Quiet::Never));
    assert!(!app.begin_stop());
    drop(waiting);
    assert!(matches!(app.quiet(true), Quiet::Over));
    assert!(app.begin_stop());
}

/// A reload that only changes an app leaves its unit to the new one; one that takes it away stops the unit.
#[test]
fn a_unit_is_left_to_who_names_it_and_to_nobody_else() {
    let apps = Apps::default();
    let old = apps.get(settings(None), &Arc::default());
    let app: Arc<App> = Arc::clone(&old);
    assert!(!app.is_left_to_others(false));
    assert!(app.is_left_to_others(true));
    let new = apps.get(settings(Some(Duration::from_secs(1))), &Arc::default());
    drop(old);
    assert!(app.is_left_to_others(false));
    drop(new);
    assert!(!app.is_left_to_others(false));
    assert!(app.is_left_to_others(true));
}

#[test]
fn an_app_that_no_config_names_is_known_until_it_is_over() {
    let apps = Apps::default();
    let configured = apps.get(settings(None), &Arc::default());
    let running: Arc<App> = Arc::clone(&configured);
    drop(configured);
    assert!(apps.configured().is_empty());
    assert!(Arc::ptr_eq(&apps.all()[0], &running));
    drop(running);
    assert!(apps.all().is_empty());
}
