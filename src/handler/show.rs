//! `show`: what dormouse knows about itself, for probes. It never keeps it awake.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};

use super::{Answer, Body, Handler, RequestBody, RequestContext, RouteShape, Verb};
use crate::schema::{self, Counts, Key, Kind, Methods, Reader};
use crate::server::Snapshot;

const SHOW: Key = Key::new(
    "show",
    Kind::OneOf(&["health"]),
    "Shows the state of dormouse itself as JSON. Never keeps it awake.",
);

/// `show`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: SHOW,
        methods: Methods::Only(&["GET"]),
        counts: Counts::Never,
        about: "`health`: phase, connections by state, requests in flight, live tasks, uptime, wakes. A probe still \
                wakes a dormouse that sleeps; `systemctl is-active dormouse.socket` asks without waking it.",
        ..schema::Verb::DEFAULT
    },
    build,
};

struct Health;

fn build(reader: &mut Reader<'_>, _: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    match reader.text(&SHOW)? {
        "health" => Some(Box::new(Health)),
        _ => None,
    }
}

impl Handler for Health {
    fn answer(&self, _: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let mut response = Response::new(Body::from(health(&context.exchange.snapshot())));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.into()
    }
}

fn health(now: &Snapshot) -> String {
    let health = serde_json::json!({
        "phase": now.phase,
        "connections": {
            "new": now.new,
            "busy": now.busy,
            "idle": now.idle,
            "lingering": now.lingering,
            "tunnels": now.tunnels,
        },
        "requests_in_flight": now.in_flight,
        "tasks": now.tasks,
        "uptime_seconds": now.uptime.as_secs_f64(),
        "asleep_in_seconds": now.asleep_in.map(|rest| rest.as_secs_f64()),
        "served": now.served,
        "noise": now.noise,
        "wakes": now.wakes,
    });
    format!("{health}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn health_says_what_it_promises() {
        let now = Snapshot { phase: "serving", busy: 1, in_flight: 1, wakes: 3, ..Snapshot::default() };
        let now = Snapshot { uptime: Duration::from_millis(1500), asleep_in: None, ..now };
        let health: serde_json::Value = serde_json::from_str(&health(&now)).expect("json");
        assert_eq!(health["phase"], "serving");
        assert_eq!(health["connections"]["busy"], 1);
        assert_eq!(health["requests_in_flight"], 1);
        assert_eq!(health["tasks"], 0);
        assert_eq!(health["uptime_seconds"], 1.5);
        assert_eq!(health["asleep_in_seconds"], serde_json::Value::Null);
        assert_eq!(health["wakes"], 3);
    }
}
