use std::time::{Duration, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::handler::files::Scratch;
use crate::schema::{Entry, Faults, Item, Place, Table, Value};

const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
    &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SLACK_TAG: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN_TAG: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

type Pairs<'p> = &'p [(&'static str, &'p str)];

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers
            .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// A request at `at` seconds, held against a secret.
struct Request<'r> {
    preset: &'r str,
    secret: &'r str,
    at: u64,
    headers: HeaderMap,
    body: &'r [u8],
}

impl Request<'_> {
    fn verify(&self) -> Result<(), VerifyError> {
        let scratch = Scratch::new();
        scratch.write("key", self.secret.as_bytes());
        let secret = Secret::parse(&format!("file:{}/key", scratch.path().display())).unwrap();
        let verify = Verify { preset: Preset::named(self.preset).unwrap(), secret };
        let now = UNIX_EPOCH + Duration::from_secs(self.at);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut checking = runtime.block_on(verify.begin(&self.headers, now))?;
        for bytes in self.body.chunks(7) {
            checking.update(bytes);
        }
        checking.finish()
    }
}

fn verify(preset: &str, secret: &str, at: u64, pairs: Pairs<'_>, body: &str) -> Result<(), VerifyError> {
    Request { preset, secret, at, headers: headers(pairs), body: body.as_bytes() }.verify()
}

#[track_caller]
fn refused(result: Result<(), VerifyError>) -> Refusal {
    match result {
        Err(error @ VerifyError::Refused { refusal, .. }) => {
            assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn tag(secret: &str, text: &str) -> String {
    let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(text).finalize();
    tag.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example of GitHub's documentation.
#[test]
fn github() {
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let (secret, body) = ("It's a Secret to Everybody", "Hello, World!");
    let try_ = |pairs: Pairs<'_>, secret, body| verify("github", secret, 0, pairs, body);
    let name = "X-Hub-Signature-256";
    assert!(try_(&[(name, good)], secret, body).is_ok());
    assert_eq!(refused(try_(&[(name, good)], secret, "Hello, World")), Refusal::WrongSignature);
    assert_eq!(refused(try_(&[(name, good)], "It's a secret", body)), Refusal::WrongSignature);
    assert_eq!(refused(try_(&[], secret, body)), Refusal::Missing(name));
    assert_eq!(refused(try_(&[("X-Hub-Signature", "sha1=00")], secret, body)), Refusal::Missing(name));
    assert_eq!(refused(try_(&[(name, good), (name, good)], secret, body)), Refusal::Repeated(name));
    for bad in
        ["", "sha256=", "sha1=00", &good[7..], &good[..70], &format!("{good}0"), &good.replace('7', "x")]
    {
        assert_eq!(refused(try_(&[(name, bad)], secret, body)), Refusal::Malformed(name), "{bad}");
    }
}

#[test]
fn gitea() {
    let name = "X-Gitea-Signature";
    let good = tag("key", "{}");
    assert!(verify("gitea", "key", 0, &[(name, &good)], "{}").is_ok());
    assert!(verify("gitea", "key\n", 0, &[(name, &good)], "{}").is_ok());
    assert_eq!(refused(verify("gitea", "key", 0, &[(name, &good)], "{ }")), Refusal::WrongSignature);
    assert_eq!(refused(verify("gitea", "key", 0, &[(name, "")], "{}")), Refusal::Malformed(name));
    assert_eq!(refused(verify("gitea", "key", 0, &[], "{}")), Refusal::Missing(name));
}

#[test]
fn gitlab_with_the_token_itself() {
    let name = "X-Gitlab-Token";
    assert!(verify("gitlab", "tanuki", 0, &[(name, "tanuki")], "{}").is_ok());
    for wrong in ["", "tanuk", "tanuki1", "Tanuki"] {
        assert_eq!(refused(verify("gitlab", "tanuki", 0, &[(name, wrong)], "{}")), Refusal::WrongToken);
    }
    assert_eq!(refused(verify("gitlab", "tanuki", 0, &[], "{}")), Refusal::Missing(name));
    let twice = [(name, "tanuki"), (name, "other")];
    assert_eq!(refused(verify("gitlab", "tanuki", 0, &twice, "{}")), Refusal::Repeated(name));
}

fn signed<'p>(id: &'p str, time: &'p str, tags: &'p str) -> [(&'static str, &'p str); 3] {
    [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", tags)]
}

/// The example that the libraries of Standard Webhooks test with.
#[test]
fn gitlab_with_a_signing_token() {
    let (at, body) = (1_614_265_330, "{\"test\": 2432232314}");
    let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
    let good = signed(id, time, TOKEN_TAG);
    assert!(verify("gitlab", TOKEN, at, &good, body).is_ok());
    let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for tags in [format!("{other} {TOKEN_TAG}"), format!("v1a,xyz {TOKEN_TAG} {other}")] {
        assert!(verify("gitlab", TOKEN, at, &signed(id, time, &tags), body).is_ok(), "{tags}");
    }
    let is_wrong = |pairs: Pairs<'_>| refused(verify("gitlab", TOKEN, at, pairs, body));
    assert_eq!(is_wrong(&signed("msg_other", time, TOKEN_TAG)), Refusal::WrongSignature);
    assert_eq!(is_wrong(&signed(id, "1614265331", TOKEN_TAG)), Refusal::WrongSignature);
    assert_eq!(is_wrong(&signed(id, time, other)), Refusal::WrongSignature);
    assert_eq!(is_wrong(&signed("", time, TOKEN_TAG)), Refusal::Malformed("webhook-id"));
    assert_eq!(is_wrong(&signed("a.1", time, TOKEN_TAG)), Refusal::Malformed("webhook-id"));
    for bad in ["", "v1,", "v1a,AAAA", "v1,AAAA", &TOKEN_TAG.replace('+', "*")] {
        assert_eq!(is_wrong(&signed(id, time, bad)), Refusal::Malformed("webhook-signature"), "{bad}");
    }
    let late = refused(verify("gitlab", TOKEN, at + 301, &good, body));
    assert_eq!(late, Refusal::Stale { header: "webhook-timestamp", off_secs: 301 });
    for missing in 0..3 {
        let some: Vec<_> =
            good.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, pair)| *pair).collect();
        assert_eq!(is_wrong(&some), Refusal::Missing(good[missing].0));
    }
}

#[test]
fn the_better_proof_of_gitlab_decides() {
    let token = ("X-Gitlab-Token", "tanuki");
    let signed = [("webhook-id", "a"), ("webhook-timestamp", "0"), ("webhook-signature", TOKEN_TAG), token];
    assert_eq!(refused(verify("gitlab", "tanuki", 0, &signed, "{}")), Refusal::Signed);
    assert_eq!(refused(verify("gitlab", TOKEN, 0, &signed, "{}")), Refusal::WrongSignature);
    let plain = [("X-Gitlab-Token", TOKEN)];
    assert_eq!(refused(verify("gitlab", TOKEN, 0, &plain, "{}")), Refusal::Missing("webhook-signature"));
    for secret in ["whsec_", "whsec_*", "whsec_A"] {
        let error = verify("gitlab", secret, 0, &signed, "{}").unwrap_err();
        assert!(matches!(error, VerifyError::NoSigningToken), "{error}");
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[test]
fn stripe() {
    let (name, secret, body, at) = ("Stripe-Signature", "whsec_test", "{\"id\": \"evt\"}", 1_492_774_577);
    let good = tag(secret, &format!("{at}.{body}"));
    let other = "0".repeat(64);
    let try_ = |value: &str, at| verify("stripe", secret, at, &[(name, value)], body);
    for value in [
        format!("t={at},v1={good}"),
        format!("t={at},v1={other},v1={good},v0={other}"),
        format!("v1={good}, v2=x,t={at}"),
    ] {
        assert!(try_(&value, at).is_ok(), "{value}");
        assert!(try_(&value, at + 300).is_ok() && try_(&value, at - 300).is_ok());
        for off in [at + 301, at - 301] {
            assert_eq!(refused(try_(&value, off)), Refusal::Stale { header: name, off_secs: 301 });
        }
    }
    for value in [format!("t={at},v1={other}"), format!("t={},v1={good}", at + 1)] {
        assert_eq!(refused(try_(&value, at)), Refusal::WrongSignature, "{value}");
    }
    for value in [
        String::new(),
        format!("t={at}"),
        format!("v1={good}"),
        format!("t={at},v0={good}"),
        format!("t={at},t={at},v1={good}"),
        format!("t=,v1={good}"),
        format!("t={at},v1={}", &good[1..]),
        format!("t={at},v1={good},"),
        format!("t={at}{},v1={good}", ",v1=".repeat(2000)),
    ] {
        assert_eq!(refused(try_(&value, at)), Refusal::Malformed(name), "{value}");
    }
}

/// The example of Slack's documentation.
#[test]
fn slack() {
    let at = 1_531_420_618;
    let both = [("X-Slack-Request-Timestamp", "1531420618"), ("X-Slack-Signature", SLACK_TAG)];
    let try_ = |at, pairs: Pairs<'_>, body| verify("slack", SLACK_SECRET, at, pairs, body);
    for at in [at, at - 300, at + 300] {
        assert!(try_(at, &both, SLACK_BODY).is_ok());
    }
    for off in [at - 301, at + 301] {
        assert!(matches!(refused(try_(off, &both, SLACK_BODY)), Refusal::Stale { off_secs: 301, .. }));
    }
    assert_eq!(refused(try_(at, &both, &SLACK_BODY[1..])), Refusal::WrongSignature);
    let shifted = [("X-Slack-Request-Timestamp", "1531420619"), both[1]];
    assert_eq!(refused(try_(at, &shifted, SLACK_BODY)), Refusal::WrongSignature);
    assert_eq!(refused(try_(at, &both[..1], SLACK_BODY)), Refusal::Missing("X-Slack-Signature"));
    assert_eq!(refused(try_(at, &both[1..], SLACK_BODY)), Refusal::Missing("X-Slack-Request-Timestamp"));
    let v1 = [both[0], ("X-Slack-Signature", &SLACK_TAG.replace("v0", "v1")[..])];
    assert_eq!(refused(try_(at, &v1, SLACK_BODY)), Refusal::Malformed("X-Slack-Signature"));
}

#[test]
fn a_secret_that_cannot_be_had_is_our_fault_and_unread_for_nonsense() {
    let verify = Verify { preset: Preset::Gitea, secret: Secret::File("/nowhere/at/all".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begin = |pairs: Pairs<'_>| runtime.block_on(verify.begin(&headers(pairs), UNIX_EPOCH)).unwrap_err();
    let error = begin(&[("X-Gitea-Signature", &tag("key", ""))]);
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let said = crate::log::chain(&error);
    assert!(
        said.contains("/nowhere/at/all") && said.contains("`verify`") && said.contains("LoadCredential="),
        "{said}"
    );
    assert_eq!(begin(&[]).status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn an_empty_secret_verifies_nothing() {
    for preset in Preset::NAMES {
        let at = 1_614_265_330;
        let tag = tag("", "{}");
        let pairs = [
            ("X-Hub-Signature-256", format!("sha256={tag}")),
            ("X-Gitea-Signature", tag.clone()),
            ("X-Gitlab-Token", String::new()),
            ("Stripe-Signature", format!("t={at},v1={tag}")),
            ("X-Slack-Request-Timestamp", at.to_string()),
            ("X-Slack-Signature", format!("v0={tag}")),
        ];
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, &value[..])).collect();
        let error = verify(preset, "\n", at, &pairs, "{}").unwrap_err();
        assert!(matches!(error, VerifyError::Secret(SecretError::Empty { .. })), "{preset}: {error}");
    }
}

fn read(entries: &[(&str, Value)]) -> (Option<Option<Verify>>, Vec<String>) {
    let item = |value| Item { value, place: Place::default() };
    let entry =
        |name: &str, value| Entry { name: name.to_owned(), place: Place::default(), item: item(value) };
    let entries = entries.iter().map(|(name, value)| entry(name, value.clone())).collect();
    let own = Value::Table(Table { place: Place::default(), entries });
    let table = Table { place: Place::default(), entries: vec![entry("verify", own)] };
    let mut faults = Faults::default();
    let read = Verify::read(&mut Reader::new(&table, &mut faults));
    (read, faults.iter().map(|fault| fault.message.clone()).collect())
}

#[test]
fn the_key() {
    assert_eq!(Verify::read(&mut Reader::new(&Table::default(), &mut Faults::default())), Some(None));
    let text = |text: &str| Value::Text(text.to_owned());
    let (good, faults) = read(&[("preset", text("github")), ("secret", text("credential:deploy"))]);
    assert!(faults.is_empty(), "{faults:?}");
    let verify = good.flatten().unwrap();
    assert_eq!(verify.preset(), Preset::GitHub);
    assert_eq!(verify.secret().to_string(), "credential:deploy");
    for bad in [
        &[("preset", text("github"))][..],
        &[("secret", text("credential:deploy"))],
        &[],
        &[("preset", text("github")), ("secret", text("hunter2"))],
        &[("preset", text("hub")), ("secret", text("file:/key"))],
    ] {
        let (read, faults) = read(bad);
        assert_eq!(read, None);
        assert!(!faults.is_empty());
        assert!(!faults.concat().contains("hunter2"));
    }
}

proptest! {
    /// Whatever stands in the headers, and however often, only the right signature is let through.
    #[test]
    fn no_headers_panic_and_none_pass(
        preset in prop::sample::select(Preset::NAMES),
        values in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "x-hub-signature-256", "x-gitea-signature", "x-gitlab-token", "webhook-id", "webhook-timestamp",
                    "webhook-signature", "stripe-signature", "x-slack-signature", "x-slack-request-timestamp",
                ]),
                prop_oneof![
                    "(sha256=|v0=|t=1000,v1=|v1,)?[0-9a-f]{64}".prop_map(String::into_bytes),
                    "v1,[A-Za-z0-9+/]{43}=|1000|[a-z0-9=,. ]{0,20}".prop_map(String::into_bytes),
                    prop::collection::vec(0x80_u8..=0xff, 0..20),
                    Just(vec![b'a'; 100_000]),
                ],
            ),
            0..6,
        ),
        secret in prop::sample::select(vec!["correct horse", TOKEN]),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        let request = Request { preset, secret, at: 1000, headers, body: b"{}" };
        prop_assert!(request.verify().is_err());
    }

    #[test]
    fn what_is_signed_passes_in_any_pieces(
        secret in "[a-z]{1,100}",
        body in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(0_usize..300, 0..5),
        change in any::<prop::sample::Index>(),
    ) {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&body);
        let claim = || claim::Claim::signed(String::new(), vec![mac.clone().finalize().into_bytes().into()]);
        let scratch = Scratch::new();
        scratch.write("key", secret.as_bytes());
        let revealed = Secret::File(scratch.path().join("key")).read().unwrap();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        let mut checking = claim().begin(Preset::Gitea, &revealed).unwrap();
        for piece in cuts.windows(2) {
            checking.update(&body[piece[0]..piece[1]]);
        }
        prop_assert!(checking.finish().is_ok());
        if !body.is_empty() {
            let mut body = body.clone();
            let at = change.index(body.len());
            body[at] ^= 1;
            let mut checking = claim().begin(Preset::Gitea, &revealed).unwrap();
            checking.update(&body);
            prop_assert!(checking.finish().is_err());
        }
    }
}
