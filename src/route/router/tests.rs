//! The router against a naive one that looks at every route.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn spec(path: &str) -> Spec {
    Spec {
        pattern: Pattern::parse(path).expect(path),
        below: None,
        hosts: vec![],
        socket: None,
        methods: MethodSet::Any,
    }
}

fn on(path: &str, host: &str) -> Spec {
    Spec { hosts: vec![HostPattern::parse(host).expect(host)], ..spec(path) }
}

fn router(specs: impl IntoIterator<Item = Spec>) -> Router {
    Router::new(specs.into_iter().collect()).expect("no conflicts")
}

fn get<'a, 'q>(host: &'a str, path: &'q str) -> Question<'a, 'q> {
    Question { socket: "http", host: (!host.is_empty()).then_some(host), path, method: &Method::GET }
}

#[track_caller]
fn leads(router: &Router, host: &str, path: &str, expected: Option<usize>) {
    match router.find(get(host, path)) {
        Found::Route { route, .. } => assert_eq!(Some(route), expected, "{host}{path}"),
        other => assert_eq!(None, expected, "{host}{path}: {other:?}"),
    }
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let router =
        router(["/", "/docs/", "/docs/{page}", "/docs/intro", "/{user}/files/", "/docs/deep/er/"].map(spec));
    leads(&router, "", "/", Some(0));
    leads(&router, "", "/else", Some(0));
    leads(&router, "", "/docs/", Some(1));
    leads(&router, "", "/docs/a/b", Some(1));
    leads(&router, "", "/docs/other", Some(2));
    leads(&router, "", "/docs/intro", Some(3));
    leads(&router, "", "/ann/files/x/y", Some(4));
    leads(&router, "", "/docs/deep/er/still", Some(5));
    leads(&router, "", "/docs/deep", Some(2));
    leads(&router, "", "*", None);
    leads(&router, "", "", None);
}

#[test]
fn captures_and_rest_are_the_bytes_that_came() {
    let router = router(["/a/{x}/{y}", "/w/{*rest}", "/{u}/f/"].map(spec));
    let captured = |path| match router.find(get("", path)) {
        Found::Route { captures, rest, .. } => (captures, rest),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(captured("/a/%2F/.."), (vec![("x", "%2F"), ("y", "..")], ""));
    assert_eq!(captured("/w/a//../b"), (vec![("rest", "a//../b")], "a//../b"));
    assert_eq!(captured("/w/"), (vec![("rest", "")], ""));
    assert_eq!(captured("/me/f/x"), (vec![("u", "me")], "x"));
}

#[test]
fn a_missing_slash_leads_to_the_subtree_unless_something_stands_there() {
    let slashed = router(["/", "/docs/", "/wiki/{*rest}", "/{u}/f/"].map(spec));
    for path in ["/docs", "/wiki", "/me/f"] {
        assert_eq!(slashed.find(get("", path)), Found::Slash, "{path}");
    }
    let taken = router(["/docs/", "/{page}"].map(spec));
    leads(&taken, "", "/docs", Some(1));
}

#[test]
fn named_hosts_before_wildcards_before_none() {
    let router = router([
        spec("/"),
        on("/", "example.org"),
        on("/a/", "*.example.org"),
        on("/", "*.deep.example.org"),
        on("/", "::1"),
    ]);
    leads(&router, "example.org", "/x", Some(1));
    leads(&router, "EXAMPLE.org", "/x", Some(1));
    leads(&router, "www.example.org", "/a/x", Some(2));
    leads(&router, "www.example.org", "/x", Some(0)); // the wildcard has nothing there
    leads(&router, "a.b.deep.example.org", "/a/x", Some(3));
    leads(&router, "deep.example.org", "/a/x", Some(2));
    leads(&router, ".example.org", "/a/x", Some(0));
    leads(&router, "other.example", "/x", Some(0));
    leads(&router, "[0::1]", "/x", Some(4));
    leads(&router, "", "/x", Some(0));
}

#[test]
fn methods_and_sockets_tell_routes_apart() {
    let only =
        |path, methods: &[Method]| Spec { methods: MethodSet::only(methods.iter().cloned()), ..spec(path) };
    let admin = |spec| Spec { socket: Some("admin".into()), ..spec };
    let router = router([
        only("/x", &[Method::GET]),
        only("/x", &[Method::POST]),
        admin(only("/x", &[Method::GET])),
        admin(spec("/only")),
        spec("/{any}"),
    ]);
    let find = |socket, method, path| router.find(Question { socket, host: None, path, method });
    let route = |found| match found {
        Found::Route { route, .. } => route,
        other => panic!("{other:?}"),
    };
    assert_eq!(route(find("http", &Method::GET, "/x")), 0);
    assert_eq!(route(find("http", &Method::HEAD, "/x")), 0);
    assert_eq!(route(find("http", &Method::POST, "/x")), 1);
    assert_eq!(
        find("http", &Method::PUT, "/x"),
        Found::Method(vec![&Method::GET, &Method::HEAD, &Method::POST])
    );
    assert_eq!(route(find("admin", &Method::GET, "/x")), 2);
    assert_eq!(route(find("admin", &Method::POST, "/x")), 1);
    assert_eq!(route(find("admin", &Method::GET, "/only")), 3);
    assert_eq!(route(find("http", &Method::GET, "/only")), 4); // elsewhere that route is not there at all
}

#[test]
fn what_cannot_be_told_apart_is_named_once() {
    let conflict = |specs: &[Spec]| Router::new(specs.to_vec()).err();
    let pair = Some(vec![Conflict { first: 0, second: 1 }]);
    assert_eq!(conflict(&[spec("/a/{x}"), spec("/a/{y}")]), pair);
    assert_eq!(conflict(&[spec("/a/"), spec("/a/{*rest}")]), pair);
    let twice =
        Spec { hosts: ["a", "b", "a"].map(|host| HostPattern::Named(host.into())).to_vec(), ..spec("/") };
    assert_eq!(conflict(&[twice.clone(), twice.clone()]), pair);
    assert_eq!(conflict(&[twice, on("/", "B")]), pair);
    let get = Spec { methods: MethodSet::only([Method::GET]), ..spec("/a") };
    let head = Spec { methods: MethodSet::only([Method::HEAD]), ..spec("/a") };
    assert_eq!(conflict(&[get.clone(), head]), pair);
    assert_eq!(conflict(&[get, spec("/a")]), None);
}

/// How specific a route is for a request, the greater the better; `None` if it does not match.
fn rank(spec: &Spec, host: &str, path: &str) -> Option<(usize, u8, usize, Vec<bool>)> {
    let host_rank = |pattern: &HostPattern| match pattern {
        HostPattern::Named(name) => (name == host).then_some(1000),
        HostPattern::Below(suffix) => {
            (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len())
        }
    };
    let host_rank =
        if spec.hosts.is_empty() { Some(0) } else { spec.hosts.iter().filter_map(host_rank).max() }?;
    let text = spec.pattern.to_string();
    let text = text.replace("{*rest}", "");
    let pattern: Vec<_> = text.split('/').skip(1).collect();
    let sent: Vec<_> = path.split('/').skip(1).collect();
    let fits = |own: &[&str], sent: &[&str]| {
        own.iter()
            .zip(sent)
            .all(|(own, sent)| if own.starts_with('{') { !sent.is_empty() } else { own == sent })
    };
    let literal = |own: &[&str]| own.iter().map(|own| !own.starts_with('{')).collect::<Vec<_>>();
    if !spec.pattern.is_subtree() {
        let is_there = pattern.len() == sent.len() && fits(&pattern, &sent);
        return is_there.then(|| (host_rank, 3, 0, literal(&pattern)));
    }
    let own = &pattern[..pattern.len() - 1];
    if own.len() == sent.len() && !own.is_empty() && fits(own, &sent) {
        return Some((host_rank, 2, 0, vec![])); // one slash short
    }
    (own.len() < sent.len() && fits(own, &sent)).then(|| (host_rank, 1, own.len(), literal(own)))
}

fn a_path() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "{x}", ""]);
    (prop::collection::vec(segment, 1..4), select(vec!["", "", "/", "/{*rest}"])).prop_map(
        |(segments, end)| {
            let mut count = 0;
            let name = |segment: &str| {
                count += 1;
                if segment == "{x}" { format!("/{{x{count}}}") } else { format!("/{segment}") }
            };
            segments.into_iter().map(name).collect::<String>() + end
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_looking_at_every_route_finds(
        routes in prop::collection::vec((a_path(), select(vec!["", "", "a.b", "*.b", "*.a.b"])), 1..8),
        requests in prop::collection::vec(
            ("(/(a|b|c|)){1,5}", select(vec!["a.b", "b", "x.b", "x.a.b", ""])), 1..20),
        order in any::<Index>(),
    ) {
        let mut specs: Vec<_> =
            routes.iter().map(|(path, host)| if host.is_empty() { spec(path) } else { on(path, host) }).collect();
        // Drop what conflicts, and shuffle: the order must not matter.
        while let Err(conflicts) = Router::new(specs.clone()) {
            specs.remove(conflicts[0].second);
        }
        let turn = order.index(specs.len());
        specs.rotate_left(turn);
        let router = Router::new(specs.clone()).expect("no conflicts are left");
        for (path, host) in &requests {
            let ranked = specs.iter().enumerate().filter_map(|(at, spec)| Some((rank(spec, host, path)?, at)));
            let best = ranked.max();
            match (router.find(get(host, path)), best) {
                (Found::Nothing, None) => {}
                (Found::Slash, Some(((_, 2, ..), _))) => {}
                (Found::Route { route, .. }, Some((_, expected))) => prop_assert_eq!(route, expected, "{}{}", host, path),
                (found, best) => prop_assert!(false, "{host}{path}: {found:?}, but {best:?} of {specs:?}"),
            }
        }
    }

    #[test]
    fn no_path_panics(paths in prop::collection::vec("\\PC{0,20}|[/{}*a]{0,12}", 0..5), sent in "\\PC*|[/{}*a]*") {
        let specs = paths.iter().filter_map(|path| Pattern::parse(path).ok()).map(|pattern| Spec { pattern, ..spec("/") });
        if let Ok(router) = Router::new(specs.collect()) {
            let _ = router.find(get("", &sent));
        }
    }
}
