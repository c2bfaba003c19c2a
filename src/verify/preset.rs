//! How each sender says that it knows the secret.

use std::time::SystemTime;

use hyper::HeaderMap;

use super::Refusal;
use super::claim::{Claim, KeyForm};
use super::headers::{Tag, base64, hex, only, recent};

const GITHUB: &str = "X-Hub-Signature-256";
const GITEA: &str = "X-Gitea-Signature";
const GITLAB: &str = "X-Gitlab-Token";
const WEBHOOK_ID: &str = "webhook-id";
const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
const WEBHOOK_SIGNATURE: &str = "webhook-signature";
const STRIPE: &str = "Stripe-Signature";
const SLACK: &str = "X-Slack-Signature";
const SLACK_TIMESTAMP: &str = "X-Slack-Request-Timestamp";

/// A sender of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// GitHub: HMAC-SHA256 of the body, `X-Hub-Signature-256: sha256=HEX`. Its elder brother with SHA-1 is not looked at.
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    GitHub,
    /// GitLab: the secret itself in `X-Gitlab-Token`; or, where the webhook has a signing token, Standard Webhooks.
    /// <https://docs.gitlab.com/user/project/integrations/webhooks/>,
    /// <https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944>
    GitLab,
    /// Gitea and Forgejo: HMAC-SHA256 of the body in `X-Gitea-Signature`, which both send.
    /// <https://docs.gitea.com/usage/repository/webhooks>, <https://forgejo.org/docs/latest/user/webhooks/>
    Gitea,
    /// Stripe: `Stripe-Signature: t=SECONDS,v1=HEX`, of the time, a full stop and the body.
    /// <https://docs.stripe.com/webhooks#verify-manually>
    Stripe,
    /// Slack: `X-Slack-Signature: v0=HEX`, of `v0:SECONDS:` and the body.
    /// <https://docs.slack.dev/authentication/verifying-requests-from-slack>
    Slack,
}

impl Preset {
    /// Their names in the config.
    pub(super) const NAMES: &'static [&'static str] = &["github", "gitlab", "gitea", "stripe", "slack"];
    const ALL: [Self; 5] = [Self::GitHub, Self::GitLab, Self::Gitea, Self::Stripe, Self::Slack];

    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Stripe => "stripe",
            Self::Slack => "slack",
        }
    }

    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What a request's headers claim, if they claim anything that can be true now.
    pub(super) fn claim(self, headers: &HeaderMap, now: SystemTime) -> Result<Claim, Refusal> {
        match self {
            Self::GitHub => {
                let tag = only(headers, GITHUB)?.strip_prefix("sha256=").and_then(hex);
                Ok(Claim::signed(String::new(), vec![tag.ok_or(Refusal::Malformed(GITHUB))?]))
            }
            Self::Gitea => {
                let tag = hex(only(headers, GITEA)?).ok_or(Refusal::Malformed(GITEA))?;
                Ok(Claim::signed(String::new(), vec![tag]))
            }
            Self::GitLab => gitlab(headers, now),
            Self::Stripe => stripe(only(headers, STRIPE)?, now),
            Self::Slack => {
                let time = only(headers, SLACK_TIMESTAMP)?;
                let tag = only(headers, SLACK)?.strip_prefix("v0=").and_then(hex);
                recent(SLACK_TIMESTAMP, time, now)?;
                Ok(Claim::signed(format!("v0:{time}:"), vec![tag.ok_or(Refusal::Malformed(SLACK))?]))
            }
        }
    }
}

/// A webhook with a signing token is signed, and may bear the older token as well: then the signature decides.
fn gitlab(headers: &HeaderMap, now: SystemTime) -> Result<Claim, Refusal> {
    if [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE].iter().any(|name| headers.contains_key(*name)) {
        return standard(headers, now);
    }
    Ok(Claim::Token(only(headers, GITLAB)?.as_bytes().to_vec()))
}

/// Standard Webhooks 1.0: HMAC-SHA256 of `ID.SECONDS.BODY`, `webhook-signature: v1,BASE64`, several with spaces between
/// them while a token is being replaced.
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
fn standard(headers: &HeaderMap, now: SystemTime) -> Result<Claim, Refusal> {
    let id = only(headers, WEBHOOK_ID)?;
    let time = only(headers, WEBHOOK_TIMESTAMP)?;
    let signatures = only(headers, WEBHOOK_SIGNATURE)?;
    if id.is_empty() || id.contains('.') {
        return Err(Refusal::Malformed(WEBHOOK_ID)); // with a full stop in it, it could be another id, time and body
    }
    recent(WEBHOOK_TIMESTAMP, time, now)?;
    let tag = |text: &str| base64(text).and_then(|bytes| Tag::try_from(bytes).ok());
    let tags = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,").map(tag));
    let tags = tags.collect::<Option<Vec<_>>>().filter(|tags| !tags.is_empty());
    Ok(Claim::Signed {
        before: format!("{id}.{time}."),
        tags: tags.ok_or(Refusal::Malformed(WEBHOOK_SIGNATURE))?,
        key: KeyForm::SigningToken,
    })
}

/// Several `v1` while a secret is being replaced; other schemes (`v0`) are of no account, says Stripe.
fn stripe(value: &str, now: SystemTime) -> Result<Claim, Refusal> {
    let malformed = Refusal::Malformed(STRIPE);
    let (mut time, mut tags) = (None, Vec::new());
    for element in value.split(',') {
        match element.trim().split_once('=').ok_or(malformed)? {
            ("t", _) if time.is_some() => return Err(malformed),
            ("t", text) => time = Some(text),
            ("v1", text) => tags.push(hex(text).ok_or(malformed)?),
            _ => {}
        }
    }
    let time = time.filter(|_| !tags.is_empty()).ok_or(malformed)?;
    recent(STRIPE, time, now)?;
    Ok(Claim::signed(format!("{time}."), tags))
}

#[cfg(test)]
mod tests {
    use super::Preset;

    #[test]
    fn each_has_its_name() {
        let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
        assert_eq!(names, Preset::NAMES);
        assert_eq!(Preset::named("gitea"), Some(Preset::Gitea));
        assert_eq!(Preset::named("github2"), None);
    }
}
