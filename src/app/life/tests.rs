use super::*;
use crate::app::waking::Waiting;
use crate::app::{AppSettings, Configured, Folders};
use crate::upstream::Origin;

fn app() -> Arc<Configured> {
    let origin = Origin::parse("unix:/run/wiki.sock").expect("an address");
    let settings = AppSettings {
        name: "wiki".to_owned(),
        kind: AppKind::Unit { unit: "dormouse-app-wiki.service".to_owned(), origin },
        ready: None,
        start_within: Duration::from_secs(30),
        stop_within: Duration::from_secs(10),
        sleep_after: None,
        busy: None,
        busy_at_most: Duration::from_secs(3600),
        queue: 1,
        shows_page: false,
        never_wake: Vec::new(),
        asleep_status: 200,
    };
    Configured::new(&settings, &Arc::new(Folders::default()))
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
