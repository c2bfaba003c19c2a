//! What is allocated: nothing to choose a route whose path has no parameters, and little for a body of any size.

#![allow(unsafe_code)] // an allocator that counts, and otherwise is the system's

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use dormouse::guard::BodyError;
use dormouse::intake::{Input, Intake, Spool, SpoolFolder};
use http_body::{Body, Frame};
use hyper::header::HeaderValue;

use dormouse::route::{Found, HostPattern, MethodSet, Pattern, Question, Router, Spec};
use hyper::Method;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// How many bytes are held now, and the most that were, by all threads.
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
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

/// A body that is there at once, as fast as it is read: a beginning, so many times 64 KiB of nothing, and an end.
struct Large {
    left: usize,
    begin: Option<&'static [u8]>,
    end: Option<&'static [u8]>,
}

impl Body for Large {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        static ZEROS: [u8; 65_536] = [0; 65_536];
        let bytes = match self.begin.take() {
            Some(begin) => Some(begin),
            None if self.left > 0 => {
                self.left -= 1;
                Some(&ZEROS[..])
            }
            None => self.end.take(),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(Bytes::from_static(bytes)))))
    }
}

#[test]
fn a_body_on_its_way_to_the_disk_is_not_held() {
    const COUNT: usize = 1024; // 64 MiB
    let path = std::env::temp_dir().join(format!("dormouse-intake-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for field in [None, Some("csv")] {
        let folder = SpoolFolder::new(&path);
        let spool = Some(Spool { folder: &folder, id: "large" });
        let intake = Intake { most_in_memory: 65_536, spool, watch: |_: &[u8]| (), field };
        let (begin, end): (&[u8], &[u8]) = match field {
            Some(_) => (b"--b\r\nContent-Disposition: form-data; name=csv\r\n\r\n", b"\r\n--b--"),
            None => (b"", b""),
        };
        let body = Large { left: COUNT, begin: Some(begin), end: Some(end) };
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        let before = HELD.load(Relaxed);
        MOST.store(before, Relaxed);
        let taken = runtime.block_on(intake.take(Some(&content_type), body)).expect("taken in");
        let most = MOST.load(Relaxed).saturating_sub(before);
        assert_eq!(taken.size, COUNT as u64 * 65_536);
        assert!(matches!(taken.input, Input::File(_)));
        assert!(most < 1 << 20, "{most} bytes were held");
        println!("{field:?}: {most} bytes were held");
    }
    std::fs::remove_dir_all(path).expect("removed");
}
