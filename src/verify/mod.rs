//! `verify = { preset = "github", secret = "credential:deploy" }`: whether a webhook comes from who shares the secret.
//!
//! The way of a request: `preset` reads what it claims from its headers and looks at the clock; the secret is read from
//! its file; every byte of the body goes by ([`Checking::update`]) while something else keeps it; and only at its end is
//! known whether the claim was true. Nothing may be started before.

mod claim;
mod headers;
mod preset;

use std::future::Future;
use std::time::SystemTime;

use hyper::{HeaderMap, StatusCode};
use tokio::task::spawn_blocking;

use crate::schema::{Fault, Key, Kind, Reader};
use crate::secret::{Secret, SecretError};

pub use claim::Checking;
pub use preset::Preset;

const PRESET: Key =
    Key::new("preset", Kind::OneOf(Preset::NAMES), "Who sends the webhook; \"gitea\" is Forgejo's too.");
const SECRET: Key = Key::new(
    "secret",
    Kind::Text,
    "Where the secret is that the sender knows too: \"credential:NAME\" (systemd's LoadCredential=) or \"file:PATH\".",
)
.example("credential:deploy");

/// The key of a route.
pub const VERIFY: Key = Key::new(
    "verify",
    Kind::Table(&[PRESET, SECRET]),
    "Only for requests signed with this secret, the way these senders do it; others are answered 401 and start nothing. \
     Signatures that bear a time are good for five minutes.",
)
.example(r#"{ preset = "github", secret = "credential:deploy" }"#);

/// What a route's requests have to prove.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verify {
    preset: Preset,
    secret: Secret,
}

/// Why a request is not verified. None of it is for the client, who may be trying what works.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It does not prove that its sender knows the secret: 401.
    #[error("not verified as from {}: {refusal}", preset.name())]
    Refused {
        /// Who it should be from.
        preset: Preset,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The secret cannot be had, so nobody knows: 500.
    #[error("the `secret` of `verify`")]
    Secret(#[from] SecretError),
    /// The secret is none of this sender's: 500.
    #[error(
        "the `secret` of `verify` begins with whsec_ but does not go on in base64; copy GitLab's signing token whole"
    )]
    NoSigningToken,
}

/// What is wrong with what a request claims. For the journal: nothing the client sent is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that the sender sends when it knows a secret.
    #[error("{0} is missing; has the sender been given the secret?")]
    Missing(&'static str),
    /// A header is there twice, and nobody knows which one counts.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    /// A header is not what this sender sends.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// It was signed more than five minutes ago, or will be.
    #[error("{header} is {off_secs} s off, and 300 may be: a replay, or one of the clocks is wrong")]
    Stale {
        /// Which header says when.
        header: &'static str,
        /// By how much.
        off_secs: u64,
    },
    /// It is signed with a token, and our secret is something else.
    #[error("it is signed (webhook-signature), and the secret is no signing token (whsec_...)")]
    Signed,
    /// It was signed with another secret, or changed on the way.
    #[error("the signature is wrong: another secret, or not the bytes that were signed")]
    WrongSignature,
    /// It bears another token.
    #[error("X-Gitlab-Token is not the secret")]
    WrongToken,
}

impl Verify {
    /// Reads [`VERIFY`]: nothing if the key is absent, `None` if it is wrong, which the reader has been told.
    pub fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        if !reader.has(&VERIFY) {
            return Some(None);
        }
        let mut table = reader.table(&VERIFY)?;
        for key in [PRESET, SECRET].iter().filter(|key| !table.has(key)).collect::<Vec<_>>() {
            let fault = Fault::absence(&table.place(key), format!("`verify` has no `{}`", key.name));
            table.fault(fault.help(format!("for example: {}", key.line())));
        }
        let preset = table.text(&PRESET).and_then(Preset::named);
        let secret = Secret::of_key(&mut table, &SECRET);
        Some(Some(Self { preset: preset?, secret: secret? }))
    }

    /// Who sends.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Where the secret is.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Begins with a request that has come `now`. What its headers claim is looked at before this returns; the future
    /// only reads the secret, on the blocking pool, and not for headers that cannot be right.
    pub fn begin(
        &self,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> impl Future<Output = Result<Checking, VerifyError>> + Send + use<> {
        let (preset, secret) = (self.preset, self.secret.clone());
        let claim = preset.claim(headers, now);
        async move {
            let claim = claim.map_err(|refusal| VerifyError::Refused { preset, refusal })?;
            let read = spawn_blocking(move || secret.read()).await;
            let revealed = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            claim.begin(preset, &revealed)
        }
    }
}

impl VerifyError {
    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { .. } => StatusCode::UNAUTHORIZED,
            Self::Secret(_) | Self::NoSigningToken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests;
