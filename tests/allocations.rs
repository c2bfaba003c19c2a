//! Choosing a route allocates nothing where the path has no parameters.

#![allow(unsafe_code)] // an allocator that counts, and otherwise is the system's

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dormouse::route::{Found, HostPattern, MethodSet, Pattern, Question, Router, Spec};
use hyper::Method;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn spec(path: &str, host: &str, socket: &str) -> Spec {
    Spec {
        below: None,
        pattern: Pattern::parse(path).expect(path),
        hosts: (!host.is_empty()).then(|| HostPattern::parse(host).expect(host)).into_iter().collect(),
        socket: (!socket.is_empty()).then(|| socket.to_owned()),
        methods: MethodSet::only([Method::GET]),
    }
}

#[track_caller]
fn allocations(router: &Router, host: &str, path: &str, route: usize) -> usize {
    let question = Question { socket: "http", host: Some(host), method: &Method::GET, path };
    let before = COUNT.get();
    let found = router.find(question);
    let count = COUNT.get() - before;
    assert!(matches!(found, Found::Route { route: own, .. } if own == route), "{host}{path}: {found:?}");
    count
}

#[test]
fn routes_are_found_without_allocating() {
    let router = Router::new(vec![
        spec("/exact", "", ""),
        spec("/", "", ""),
        spec("/a/b/", "", ""),
        spec("/item/{id}", "", ""),
        spec("/exact", "example.org", ""),
        spec("/", "*.example.org", ""),
        spec("/exact", "", "admin"),
    ])
    .expect("no conflicts");
    assert_eq!(allocations(&router, "h", "/exact", 0), 0);
    assert_eq!(allocations(&router, "h", "/some/where/else", 1), 0);
    assert_eq!(allocations(&router, "h", "/a/b/c", 2), 0);
    assert_eq!(allocations(&router, "EXAMPLE.org", "/exact", 4), 0);
    assert_eq!(allocations(&router, "www.example.org", "/any", 5), 0);
    assert_eq!(allocations(&router, "h", "/item/7", 3), 1); // the list of captures
}
