//! What a request claims, and whether it is true.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::headers::{Tag, base64};
use super::{Preset, Refusal, VerifyError};
use crate::secret::Revealed;

/// What GitLab's signing tokens, and all of Standard Webhooks, begin with.
const SIGNING_TOKEN: &[u8] = b"whsec_";

/// What a request claims before anybody has looked at the secret.
pub enum Claim {
    /// One of these is the signature of this text and the body after it.
    Signed { before: String, tags: Vec<Tag>, key: KeyForm },
    /// This is the secret.
    Token(Vec<u8>),
}

/// How a key is made from a secret.
#[derive(Clone, Copy)]
pub enum KeyForm {
    /// It is the secret.
    Bytes,
    /// It is what follows `whsec_`, in base64.
    SigningToken,
}

/// A request whose body is still to come. It proves nothing before [`finish`](Self::finish).
pub struct Checking {
    preset: Preset,
    /// With the tags of which one has to be right; `None` where the body has no part in it.
    signed: Option<(Hmac<Sha256>, Vec<Tag>)>,
}

impl Claim {
    /// Signed with the secret as it is.
    pub fn signed(before: String, tags: Vec<Tag>) -> Self {
        Self::Signed { before, tags, key: KeyForm::Bytes }
    }

    /// Holds it against the secret.
    pub fn begin(self, preset: Preset, secret: &Revealed) -> Result<Checking, VerifyError> {
        let refused = |refusal| VerifyError::Refused { preset, refusal };
        let token = secret.as_bytes().strip_prefix(SIGNING_TOKEN).filter(|_| preset == Preset::GitLab);
        match self {
            Self::Signed { before, tags, key } => {
                let mac = match key {
                    KeyForm::Bytes => keyed(secret.as_bytes()),
                    KeyForm::SigningToken => {
                        keyed(&signing_key(token.ok_or_else(|| refused(Refusal::Signed))?)?)
                    }
                };
                Ok(Checking { preset, signed: Some((mac.chain_update(before), tags)) })
            }
            // Whoever has a signing token wants signatures.
            Self::Token(_) if token.is_some() => Err(refused(Refusal::Missing("webhook-signature"))),
            Self::Token(token) if is_same(&token, secret.as_bytes()) => Ok(Checking { preset, signed: None }),
            Self::Token(_) => Err(refused(Refusal::WrongToken)),
        }
    }
}

fn signing_key(token: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let key = std::str::from_utf8(token).ok().and_then(base64).filter(|key| !key.is_empty());
    key.ok_or(VerifyError::NoSigningToken)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length (RFC 2104)")
}

/// Whether two texts are the same, in a time that tells nothing of the second but its length: what is compared are their
/// HMACs, whose bytes nobody can foresee without that very text.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let own = keyed(secret).chain_update(secret).finalize();
    keyed(secret).chain_update(given).finalize() == own
}

impl Checking {
    /// The next bytes of the body, as they came.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some((mac, _)) = &mut self.signed {
            mac.update(bytes);
        }
    }

    /// The body is over: whether the request proves that its sender knows the secret.
    ///
    /// # Errors
    /// [`Refusal::WrongSignature`].
    pub fn finish(self) -> Result<(), VerifyError> {
        let Some((mac, tags)) = self.signed else { return Ok(()) };
        // In constant time each; which of several is right is no secret.
        if tags.iter().any(|tag| mac.clone().verify_slice(tag).is_ok()) {
            return Ok(());
        }
        Err(VerifyError::Refused { preset: self.preset, refusal: Refusal::WrongSignature })
    }
}

impl fmt::Debug for Checking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checking").field("preset", &self.preset).finish_non_exhaustive()
    }
}
