//! A request, as a command's placeholders see it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{Fields, Unfit, form, json};
use crate::handler::Head;
use crate::handler::placeholder::{CommandSource, Source};
use crate::route::request_host;

/// The longest value, in bytes: what one argument can hold (MAX_ARG_STRLEN, execve(2)), its NUL included.
pub(super) const LONGEST: usize = (128 << 10) - 1;

/// A request that a command is made of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// Its head, without what strangers say of clients behind them ([`crate::guard::Client::clean`]).
    pub head: Head<'r>,
    /// The parameters of the route's path, as sent.
    pub captures: &'r [(&'r str, &'r str)],
    /// Whoever asks ([`crate::guard::Remote`], as text).
    pub client: &'r str,
    /// What its body says.
    pub fields: &'r Fields,
}

impl<'r> Asked<'r> {
    /// What a placeholder stands for, decoded; `None` if the request has no such thing.
    pub(super) fn value(&self, source: &CommandSource) -> Result<Option<Cow<'r, [u8]>>, Unfit> {
        let value = match source {
            CommandSource::Head(source) => self.head_value(source),
            CommandSource::Form(name) => self.fields.form(name).map(Cow::Borrowed),
            CommandSource::Json(keys) => self.json_value(source, keys)?,
            CommandSource::Client => Some(self.client.as_bytes().into()),
        };
        match value {
            Some(value) if value.len() > LONGEST => Err(Unfit::TooLong(source.to_string())),
            value => Ok(value),
        }
    }

    fn head_value(&self, source: &Source) -> Option<Cow<'r, [u8]>> {
        let head = self.head;
        match source {
            Source::Path => Some(percent_decode_str(head.uri.path()).into()),
            Source::Parameter(name) => {
                let capture = self.captures.iter().find(|(own, _)| own == name);
                capture.map(|(_, value)| percent_decode_str(value).into())
            }
            Source::Query(name) => form::parameter(head.uri, name),
            Source::Header(name) => head.headers.get(name).map(|value| value.as_bytes().into()),
            Source::Host => request_host(head.uri, head.headers).map(|host| host.as_bytes().into()),
        }
    }

    fn json_value(&self, source: &CommandSource, keys: &[String]) -> Result<Option<Cow<'r, [u8]>>, Unfit> {
        let Some(found) = self.fields.json().and_then(|json| json::find(json, keys)) else { return Ok(None) };
        match json::text(found) {
            Ok(Some(Cow::Borrowed(text))) => Ok(Some(text.as_bytes().into())),
            Ok(Some(Cow::Owned(text))) => Ok(Some(text.into_bytes().into())),
            Ok(None) => Ok(None),
            Err(()) => Err(Unfit::NotSingle(source.to_string())),
        }
    }
}
