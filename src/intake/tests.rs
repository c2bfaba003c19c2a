use std::collections::VecDeque;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Frame;
use http_body_util::Full;
use hyper::StatusCode;
use proptest::prelude::*;

use super::form::{MOST_OF_ALL, MOST_OF_FIELD, MOST_PARTS};
use super::multipart::MOST_OF_HEAD;
use super::*;
use crate::handler::files::Scratch;

const FORM: &str = "multipart/form-data; boundary=b";

/// A body in these frames; and then it ends, or nothing comes any more.
struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, BodyError>>,
    ends: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn frames(body: &[u8], cuts: &[usize]) -> Frames {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| (*cut).min(body.len())).chain([0, body.len()]).collect();
    cuts.sort_unstable();
    let frame = |ends: &[usize]| Ok(Frame::data(Bytes::copy_from_slice(&body[ends[0]..ends[1]])));
    Frames { frames: cuts.windows(2).map(frame).collect(), ends: true }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// What came of a body, to be compared: its input with where that was, and all else.
type Outcome = Result<(bool, Vec<u8>, Form, Option<String>, Option<String>), String>;

/// Takes a body in with room for ten bytes in memory.
fn take(field: Option<&str>, content_type: &str, body: Frames) -> Outcome {
    let scratch = Scratch::new();
    let folder = SpoolFolder::new(scratch.path());
    let mut seen = Vec::new();
    let sent: Vec<u8> = body.frames.iter().flatten().filter_map(Frame::data_ref).flatten().copied().collect();
    let content_type = HeaderValue::from_str(content_type).unwrap();
    let taken = run(Intake {
        most_in_memory: 10,
        spool: Some(Spool { folder: &folder, id: "a" }),
        watch: |bytes: &[u8]| seen.extend_from_slice(bytes),
        field,
    }
    .take(Some(&content_type), body));
    let outcome = match taken {
        Err(error) => Err(error.to_string()),
        Ok(taken) => {
            assert!(seen == sent, "the watcher sees all of it");
            let (is_file, input) = match taken.input {
                Input::Memory(bytes) => (false, bytes.to_vec()),
                Input::File(file) => {
                    let mut bytes = Vec::new();
                    file.open().unwrap().read_to_end(&mut bytes).unwrap();
                    (true, bytes)
                }
            };
            assert_eq!(input.len() as u64, taken.size);
            Ok((is_file, input, taken.form, taken.media_type, taken.file_name))
        }
    };
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    outcome
}

#[track_caller]
fn wrong(field: Option<&str>, content_type: &str, body: impl AsRef<[u8]>) -> String {
    take(field, content_type, frames(body.as_ref(), &[])).unwrap_err()
}

/// A part as curl sends it.
fn part(disposition: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

#[test]
fn small_ones_stay_in_memory_and_large_ones_do_not() {
    for (body, is_file) in [("", false), ("0123456789", false), ("0123456789a", true)] {
        let taken = take(None, "text/csv", frames(body.as_bytes(), &[3, 7, 9])).unwrap();
        assert_eq!(taken, (is_file, body.into(), Vec::new(), None, None));
    }
}

#[test]
fn trailers_are_no_input() {
    let mut body = frames(b"abc", &[]);
    body.frames.push_back(Ok(Frame::trailers(hyper::HeaderMap::new())));
    assert_eq!(take(None, "text/csv", body).unwrap().1, b"abc");
}

#[test]
fn the_part_that_is_wanted_and_what_is_beside_it() {
    let file = "--b\r\ncontent-type: text/csv; charset=x\r\nCONTENT-DISPOSITION: form-data; name=\"csv\"; \
                filename=\"a b.csv\"\r\n\r\n1,2\r\n--c\r\n3,4\r\n";
    let body = format!(
        "preamble\r\n{}{file}{}{}--b--\r\nepilogue --b\r\n",
        part("name=x", "1"),
        part("name=x", "2"),
        part("name=empty", "")
    );
    let (is_file, input, form, media_type, file_name) =
        take(Some("csv"), FORM, frames(body.as_bytes(), &[])).unwrap();
    assert!(is_file);
    assert_eq!(input, b"1,2\r\n--c\r\n3,4");
    let form: Vec<_> = form.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(form, [("x", &b"1"[..]), ("x", b"2"), ("empty", b"")]);
    assert_eq!(media_type.as_deref(), Some("text/csv; charset=x"));
    assert_eq!(file_name.as_deref(), Some("a b.csv"));
}

#[test]
fn an_empty_file_is_one_and_none_chosen_is_none() {
    let form = |rest: &str| part(&format!("name=csv{rest}"), "") + "--b--";
    for rest in ["", "; filename=a"] {
        assert_eq!(take(Some("csv"), FORM, frames(form(rest).as_bytes(), &[])).unwrap().1, b"");
    }
    let missing = wrong(Some("csv"), FORM, form("; filename=\"\""));
    assert_eq!(missing, "the form has no field \"csv\", which the file belongs into (curl -F csv=@FILE)");
}

#[test]
fn what_is_wrong_with_a_form_is_said() {
    let csv = || part("name=csv", "1");
    for (content_type, body, said) in [
        ("text/csv", csv(), "no multipart form; send one, with the file in the field \"csv\""),
        ("multipart/form-data", csv(), "no boundary"),
        ("multipart/form-data; boundary=", csv(), "no boundary"),
        (&format!("multipart/form-data; boundary={}", "x".repeat(71)), csv(), "no boundary"),
        (FORM, String::new(), "ends before its first part"),
        (FORM, "nothing of the kind".to_owned(), "ends before its first part"),
        (FORM, csv(), "ends in or after the part \"csv\""),
        (FORM, "--b--".to_owned(), "no field \"csv\""),
        (FORM, part("name=other", "1") + "--b--", "no field \"csv\""),
        (FORM, csv() + &csv() + "--b--", "the field \"csv\" is in the form more than once"),
        (FORM, csv() + "--bc\r\n", "malformed in or after the part \"csv\": a boundary is followed"),
        (FORM, format!("--b{}\r\n", " ".repeat(300)), "before its first part: a boundary is followed"),
        (FORM, part("x=y", "1"), "a part has no name"),
        (FORM, "--b\r\n\r\n1\r\n--b--".to_owned(), "a part has no name"),
        (FORM, "--b\r\nContent-Type: text/csv\r\n\r\n".to_owned(), "a part has no name"),
        (FORM, "--b\r\nno head\r\n\r\n".to_owned(), "the head of a part makes no sense"),
        (FORM, format!("--b\r\nX: {}", "x".repeat(MOST_OF_HEAD)), "the head of a part is larger than 16 KiB"),
    ] {
        let error = wrong(Some("csv"), content_type, &body);
        assert!(error.contains(said), "{body:.40}: {error}");
    }
}

#[test]
fn the_limits_of_a_form_to_the_byte() {
    let form = |parts: usize, size: usize| {
        let one = part("name=x", &"x".repeat(size));
        one.repeat(parts) + &part("name=csv", &"1".repeat(2 * MOST_OF_FIELD)) + "--b--"
    };
    assert!(take(Some("csv"), FORM, frames(form(MOST_PARTS - 1, 1).as_bytes(), &[])).is_ok());
    assert_eq!(wrong(Some("csv"), FORM, form(MOST_PARTS, 1)), "the form has more than 100 parts");
    assert!(take(Some("csv"), FORM, frames(form(1, MOST_OF_FIELD).as_bytes(), &[])).is_ok());
    let field = wrong(Some("csv"), FORM, form(1, MOST_OF_FIELD + 1));
    assert_eq!(field, "the field \"x\" is larger than 64 KiB");
    let sixteenth = MOST_OF_ALL / 16 - 1; // and its name
    assert!(take(Some("csv"), FORM, frames(form(16, sixteenth).as_bytes(), &[])).is_ok());
    let all = "the fields of the form are larger than 1024 KiB together";
    assert_eq!(wrong(Some("csv"), FORM, form(16, sixteenth + 1)), all);
    assert_eq!(wrong(Some("csv"), FORM, form(17, sixteenth)), all);
}

#[test]
fn a_head_may_be_16_kib_however_it_comes() {
    for (length, is_good) in [(MOST_OF_HEAD, true), (MOST_OF_HEAD + 1, false)] {
        // A head is counted with the end of the boundary's line.
        let head = "\r\nContent-Disposition: form-data; name=csv\r\nX: ";
        let body = format!("--b{head}{}\r\n\r\n1\r\n--b--", "x".repeat(length - head.len()));
        let end = 3 + length;
        for cuts in [&[][..], &[end], &[end + 1], &[end + 2], &[end + 3], &[end + 4], &[end + 5]] {
            assert_eq!(take(Some("csv"), FORM, frames(body.as_bytes(), cuts)).is_ok(), is_good, "{cuts:?}");
        }
    }
}

#[test]
fn names_of_strangers_are_not_repeated_at_length() {
    let name = "\u{1b}[31m".to_owned() + &"x".repeat(1000);
    let error = wrong(Some("csv"), FORM, part(&format!("name=\"{name}\""), "1"));
    assert!(error.len() < 200 && !error.contains(char::is_control), "{error}");
}

#[test]
fn without_a_spool_what_is_large_is_refused() {
    for (body, is_good) in [("0123456789", true), ("0123456789a", false)] {
        let intake = Intake { most_in_memory: 10, spool: None, watch: |_: &[u8]| (), field: None };
        let taken = run(intake.take(None, frames(body.as_bytes(), &[5])));
        assert_eq!(taken.is_ok(), is_good);
        if let Err(error) = taken {
            assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}

#[test]
fn each_error_has_its_status() {
    let full = std::io::Error::from_raw_os_error;
    for (error, status) in [
        (BodyError::TooLarge.into(), 413),
        (BodyError::TimedOut.into(), 408),
        (full(libc::ENOSPC).into(), 507),
        (full(libc::EDQUOT).into(), 507),
        (full(libc::EIO).into(), 500),
        (FormError::NoBoundary.into(), 400),
    ] {
        let error: IntakeError = error;
        assert_eq!(error.status().as_u16(), status, "{error}");
    }
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    let mut body = frames(&[b'x'; 1000], &[500]);
    body.frames.push_back(Err(BodyError::TimedOut));
    let error = take(None, "text/csv", body).unwrap_err();
    assert_eq!(error, BodyError::TimedOut.to_string());
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let scratch = Scratch::new();
    let folder = SpoolFolder::new(scratch.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut body = frames(&vec![b'x'; 5 << 20], &[1 << 20]);
    body.ends = false;
    let spool = Some(Spool { folder: &folder, id: "a" });
    let intake = Intake { most_in_memory: 10, spool, watch: |_: &[u8]| (), field: None };
    let mut taking: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(intake.take(None, body));
    let part = scratch.path().join("a.in.part");
    runtime.block_on(std::future::poll_fn(|cx| {
        assert!(taking.as_mut().poll(cx).is_pending());
        // Looked at again when the file has been made, and after each piece.
        if part.exists() { Poll::Ready(()) } else { Poll::Pending }
    }));
    runtime.block_on(async { drop(taking) });
    drop(runtime);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_form_in_memory_is_read_as_one() {
    let body = part("name=a", "1") + &part("name=file; filename=x", "2") + "--b--";
    let content_type = HeaderValue::from_static(FORM);
    let form = fields(Some(&content_type), body.as_bytes()).unwrap().unwrap();
    assert_eq!(form, [("a".to_owned(), b"1".to_vec()), ("file".to_owned(), b"2".to_vec())]);
    assert_eq!(fields(None, body.as_bytes()), Ok(None));
    assert!(matches!(fields(Some(&content_type), b"--b"), Err(FormError::Incomplete(_))));
}

/// Bytes of which boundaries consist, and others.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![b"\r\n", b"\r", b"-", b"\r\n-", b"\r\n--B", b"x", b"\0\xff"];
    let piece = prop::sample::select(pieces);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A form that is right: names, contents, all of it.
fn form() -> impl Strategy<Value = (Form, Vec<u8>)> {
    prop::collection::vec(("[a-c]|file", content()), 0..5).prop_map(|parts| {
        let mut body = Vec::new();
        for (name, content) in &parts {
            let head =
                format!("--Bound\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"Content-Type: text/plain\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--Bound--\r\n");
        (parts, body)
    })
}

const BOUND: &str = "multipart/form-data; boundary=\"Bound\"";

async fn by_multer(body: Vec<u8>) -> Form {
    let mut multipart = multer::Multipart::new(Full::new(Bytes::from(body)).into_data_stream(), "Bound");
    let mut form = Form::new();
    while let Some(field) = multipart.next_field().await.unwrap() {
        form.push((field.name().unwrap().to_owned(), field.bytes().await.unwrap().to_vec()));
    }
    form
}

proptest! {
    #[test]
    fn a_form_is_read_as_it_was_written_and_as_multer_reads_it((parts, body) in form()) {
        let content_type = HeaderValue::from_static(BOUND);
        let read = fields(Some(&content_type), &body).unwrap().unwrap();
        prop_assert_eq!(&read, &parts);
        prop_assert_eq!(read, run(by_multer(body)));
    }

    /// Right, cut off, or with a byte changed: any frames make the same of it, an error too.
    #[test]
    fn any_frames_give_the_same(
        (_, mut body) in form(),
        end in any::<prop::sample::Index>(),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        is_whole in any::<bool>(),
        field in prop::option::of(Just("file")),
        cuts in prop::collection::vec(0_usize..600, 0..40),
    ) {
        if !is_whole {
            body.truncate(end.index(body.len()));
        }
        if let Some((at, byte)) = change.filter(|_| !body.is_empty()) {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let each: Vec<_> = (0..body.len()).collect();
        let whole = take(field, BOUND, frames(&body, &[]));
        prop_assert_eq!(&take(field, BOUND, frames(&body, &cuts)), &whole);
        prop_assert_eq!(&take(field, BOUND, frames(&body, &each)), &whole);
    }

    #[test]
    fn no_body_panics(
        content_type in "multipart/form-data; *boundary=\"?[ -~]{0,5}\"?|\\PC*",
        body in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..100),
    ) {
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            let _ = fields(Some(&content_type), &body);
        }
    }
}
