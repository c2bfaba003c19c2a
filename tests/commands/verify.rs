//! `verify`: a webhook runs something only if it is signed with the secret, as each sender does it.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::harness::{Daemon, Unit};
use crate::program::{Stage, line_of, log, sh};
use crate::site::SLOW;

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = r#"{"ref": "refs/heads/main"}"#;
const PRESETS: [&str; 5] = ["github", "gitlab", "gitea", "stripe", "slack"];

fn tag(key: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |at: usize| {
            if at > chunk.len() { '=' } else { char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]) }
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The headers with which a sender signs a body at a time.
fn signed(preset: &str, secret: &str, body: &str, time: u64) -> String {
    let key = secret.as_bytes();
    let time = time.to_string();
    match preset {
        "github" => format!("X-Hub-Signature-256: sha256={}\r\n", hex(&tag(key, &[body]))),
        "gitlab" => format!("X-Gitlab-Token: {secret}\r\n"),
        "gitea" => format!("X-Gitea-Signature: {}\r\n", hex(&tag(key, &[body]))),
        "stripe" => format!("Stripe-Signature: t={time},v1={}\r\n", hex(&tag(key, &[&time, ".", body]))),
        "slack" => format!(
            "X-Slack-Request-Timestamp: {time}\r\nX-Slack-Signature: v0={}\r\n",
            hex(&tag(key, &["v0:", &time, ":", body]))
        ),
        _ => unreachable!("{preset}"),
    }
}

fn route(path: &str, preset: &str, secret: &str) -> String {
    sh(path, &format!("verify = {{ preset = \"{preset}\", secret = \"{secret}\" }}"), "touch FOLDER/ran; cat")
}

/// A dormouse with credentials as systemd hands them over: `deploy`, and GitLab's `signing` token.
fn stage(routes: &str) -> (Stage, Daemon) {
    let mut stage = Stage::new(SLOW, routes);
    std::fs::create_dir(stage.path("credentials")).expect("a folder");
    std::fs::write(stage.path("credentials/deploy"), format!("{SECRET}\n")).expect("a file");
    std::fs::write(stage.path("credentials/signing"), format!("whsec_{}", base64(b"a key"))).expect("a file");
    let credentials = stage.path("credentials").display().to_string();
    let unit = std::mem::replace(&mut stage.site.unit, Unit::new());
    stage.site.unit = unit.env("CREDENTIALS_DIRECTORY", &credentials);
    let daemon = stage.wake();
    (stage, daemon)
}

#[track_caller]
fn has_run(stage: &Stage) -> bool {
    std::fs::remove_file(stage.path("ran")).is_ok()
}

#[test]
fn each_preset_lets_the_right_ones_in_and_nobody_else() {
    let routes = PRESETS.map(|preset| route(&format!("/{preset}"), preset, "credential:deploy"));
    let (stage, daemon) = stage(&routes.concat());
    for preset in PRESETS {
        let post = |headers: &str, body: &str| stage.post(&format!("/{preset}"), headers, body);
        let answer = post(&signed(preset, SECRET, BODY, now()), BODY);
        assert_eq!(
            (answer.status(), answer.text()),
            (200, BODY),
            "{preset}: the body is the input all the same"
        );
        assert!(has_run(&stage));
        let other = format!("{BODY} ");
        let right = signed(preset, SECRET, BODY, now());
        let mut wrong = vec![
            ("unsigned", String::new(), BODY),
            ("another secret", signed(preset, "x", BODY, now()), BODY),
            ("twice", format!("{right}{right}"), BODY),
            (
                "of another sender",
                signed(if preset == "gitea" { "github" } else { "gitea" }, SECRET, BODY, now()),
                BODY,
            ),
        ];
        if preset != "gitlab" {
            wrong.push(("another body", right, &other));
        }
        if matches!(preset, "stripe" | "slack") {
            wrong.push(("a replay", signed(preset, SECRET, BODY, now() - 310), BODY));
            wrong.push(("of the future", signed(preset, SECRET, BODY, now() + 400), BODY));
        }
        for (what, headers, body) in wrong {
            let page = post(&headers, body);
            assert_eq!(page.status(), 401, "{preset}: {what}");
            assert!(
                !page.text().contains("signature"),
                "what was wrong is nobody's business: {}",
                page.text()
            );
            assert!(!has_run(&stage), "{preset}: {what}");
        }
    }
    let log = log(daemon);
    assert!(log.contains("not verified as from slack: X-Slack-Request-Timestamp is"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains(&hex(&tag(SECRET.as_bytes(), &[BODY]))), "{log}");
}

#[test]
fn gitlabs_signing_tokens_are_signatures() {
    let (stage, _daemon) = stage(&route("/", "gitlab", "credential:signing"));
    let time = now().to_string();
    let signature = base64(&tag(b"a key", &["id7", ".", &time, ".", BODY]));
    let headers = |signature: &str| {
        format!("webhook-id: id7\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{signature}\r\n")
    };
    assert_eq!(stage.post("/", &headers(&signature), BODY).status(), 200);
    assert!(has_run(&stage));
    let other = base64(&tag(b"other", &["id7", ".", &time, ".", BODY]));
    for headers in [headers(&other), format!("X-Gitlab-Token: whsec_{}\r\n", base64(b"a key"))] {
        assert_eq!(stage.post("/", &headers, BODY).status(), 401);
        assert!(!has_run(&stage));
    }
}

#[test]
fn a_secret_in_a_file_is_read_anew_each_time() {
    let (stage, daemon) = stage(&route("/", "github", "file:FOLDER/secret"));
    let post = |secret: &str| stage.post("/", &signed("github", secret, BODY, now()), BODY);
    let missing = post(SECRET);
    std::fs::write(stage.path("secret"), "").expect("a file");
    let empty = post("");
    for secret in ["first", "second"] {
        std::fs::write(stage.path("secret"), secret).expect("a file");
        assert_eq!(post(secret).status(), 200);
        assert!(has_run(&stage));
        assert_eq!(post("third").status(), 401);
    }
    assert!(!has_run(&stage));
    let log = log(daemon);
    assert_eq!((missing.status(), empty.status()), (500, 500));
    let line = line_of(&missing, &log);
    assert!(line.contains("cannot read") && line.contains("LoadCredential=secret:"), "{line}");
    assert!(line_of(&empty, &log).contains("is empty; write the secret into it"), "{log}");
}

#[test]
fn a_credential_that_is_not_there_is_500_and_the_log_says_what_to_do() {
    let (stage, daemon) = stage(&route("/", "github", "credential:absent"));
    let page = stage.post("/", &signed("github", SECRET, BODY, now()), BODY);
    assert_eq!(page.status(), 500);
    assert!(!has_run(&stage));
    let line = line_of(&page, &log(daemon));
    assert!(line.contains("LoadCredential=absent:") && line.contains("systemctl edit"), "{line}");
    // And without systemd.
    let stage = Stage::new(SLOW, &route("/", "github", "credential:absent"));
    let daemon = stage.wake();
    let page = stage.post("/", &signed("github", SECRET, BODY, now()), BODY);
    assert_eq!(page.status(), 500);
    let line = line_of(&page, &log(daemon));
    assert!(line.contains("CREDENTIALS_DIRECTORY is not set"), "{line}");
}

#[test]
fn what_is_verified_is_no_larger_than_may_be_kept() {
    let routes = route("/", "github", "credential:deploy")
        + &route("/more", "github", "credential:deploy")
            .replace("run =", "limits = { body = \"3 MiB\" }\nrun =");
    let (stage, _daemon) = stage(&routes);
    let large = "x".repeat(2 << 20);
    let headers = signed("github", SECRET, &large, now());
    let mut client = stage.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{headers}\r\n", large.len()));
    assert_eq!(client.head().status(), 413);
    let mut client = stage.client();
    client
        .send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{headers}\r\n200000\r\n"));
    let _ = std::io::Write::write_all(&mut client.0, large.as_bytes()); // it may be refused before its end
    assert_eq!(client.head().status(), 413);
    assert!(!has_run(&stage));
    let answer = stage.post("/more", &headers, &large);
    assert_eq!((answer.status(), answer.body.len()), (200, large.len()));
    assert!(has_run(&stage));
}

#[test]
fn a_webhook_meets_placeholders_patterns_and_when_after_its_signature() {
    let keys = "verify = { preset = \"github\", secret = \"credential:deploy\" }\n\
                when = { \"header.X-GitHub-Event\" = \"push\" }\nallow = { \"json.ref\" = \"refs/heads/[a-z]+\" }";
    let route = sh("/", keys, "touch FOLDER/ran; printf \"%s\" \"$1\"")
        .replace("''']", "''', \"sh\", \"{json.ref}\"]");
    let (stage, _daemon) = stage(&route);
    let post = |event: &str, body: &str, is_signed: bool| {
        let secret = if is_signed { SECRET } else { "wrong" };
        let kind = "Content-Type: application/json\r\n";
        let headers = format!("{kind}X-GitHub-Event: {event}\r\n{}", signed("github", secret, body, now()));
        stage.post("/", &headers, body)
    };
    let answer = post("push", BODY, true);
    assert_eq!((answer.status(), answer.text()), (200, "refs/heads/main"));
    assert!(has_run(&stage));
    assert_eq!(post("push", r#"{"ref": "refs/heads/../x"}"#, true).status(), 400);
    assert_eq!(post("issues", BODY, true).status(), 204);
    assert_eq!(post("issues", BODY, false).status(), 401, "whoever cannot sign learns nothing else");
    assert_eq!(post("push", "{}", false).status(), 401);
    assert!(!has_run(&stage));
}
