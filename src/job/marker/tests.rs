//! When the marker is there.

use super::*;
use crate::handler::files::Scratch;

async fn note(marker: &Marker, stand: Stand) {
    marker.note("a", stand, || true).await;
}

#[tokio::test]
async fn it_is_there_while_there_is_something_to_do_and_between_two_jobs() {
    let scratch = Scratch::new();
    let marker = Marker::new(scratch.path());
    let same = scratch.path().join("same");
    marker.pin().await.expect("a folder").keep("a").await;
    std::fs::hard_link(&marker.due, &same).expect("it is there");
    for _ in 0..3 {
        note(&marker, Stand::Nothing).await;
        let pin = marker.pin().await.expect("a folder");
        marker.leave().await;
        pin.keep("a").await;
        marker.leave().await;
        assert!(marker.due().is_some_and(|due| due <= SystemTime::now()), "it is due");
    }
    let links = std::os::unix::fs::MetadataExt::nlink(&same.metadata().expect("a file"));
    assert_eq!(links, 2, "it is another one");
    note(&marker, Stand::Nothing).await;
    marker.leave().await;
    assert_eq!(marker.due(), None);
    marker.pin().await.expect("a folder").keep("a").await;
    assert!(marker.due().is_some(), "it is made again");
}

#[tokio::test]
async fn it_goes_by_itself_and_says_when_one_is_due() {
    let scratch = Scratch::new();
    let marker = Marker::new(scratch.path());
    let hour = now() + 3_600_000;
    marker.pin().await.expect("a folder").keep("a").await;
    note(&marker, Stand::Due(hour)).await;
    assert!(marker.due().is_some_and(|due| due > SystemTime::now()));
    // One that comes meanwhile is due, and the marker says so before it is answered.
    marker.pin().await.expect("a folder").keep("b").await;
    assert!(marker.due().is_some_and(|due| due <= SystemTime::now()));
    note(&marker, Stand::Nothing).await;
    marker.note("b", Stand::Nothing, || true).await;
    while marker.due().is_some() {
        tokio::task::yield_now().await; // its moment passes
    }
    note(&marker, Stand::Nothing).await;
    assert!(!marker.state.lock().await.lingers, "nobody looks for what is gone");
}

#[tokio::test]
async fn it_is_not_removed_by_who_does_not_know() {
    let scratch = Scratch::new();
    let marker = Marker::new(scratch.path());
    scratch.write(DUE, b"");
    assert!(marker.may_have_work());
    marker.leave().await;
    note(&marker, Stand::Nothing).await;
    marker.leave().await;
    assert!(marker.due().is_some(), "other queues may have jobs");
    marker.found(std::iter::empty()).await;
    marker.leave().await;
    assert_eq!(marker.due(), None);
}
