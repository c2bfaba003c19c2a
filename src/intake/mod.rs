//! A request's whole body: in memory while it is small, in a file of the spool when it is not.
//!
//! `sink` takes bytes and decides where they go; `spool` has the files; `form` finds the one part that is wanted of a
//! multipart form, by the pure parser in `multipart`. What is held in memory of a body of any size is what may be kept
//! there, plus two pieces of 256 KiB on their way to the disk; nothing is written on the serving thread.

mod error;
mod form;
mod multipart;
mod parameters;
mod sink;
mod spool;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::header::HeaderValue;

use crate::guard::BodyError;
use form::Fields;
use sink::Sink;

pub use error::{FormError, IntakeError};
pub use multipart::Malformed;
pub use spool::{SpoolFile, SpoolFolder};

/// How a body is taken in.
pub struct Intake<'a, W> {
    /// So many bytes stay in memory.
    pub most_in_memory: usize,
    /// Where larger ones go; `None`: they are refused ([`IntakeError::TooLarge`]).
    pub spool: Option<Spool<'a>>,
    /// Sees every byte of the body as it comes, before anything is made of it: for signatures and fingerprints.
    pub watch: W,
    /// The field of a multipart form whose content is the input (`file = "FIELD"`); `None`: the body is.
    pub field: Option<&'a str>,
}

/// Where one body may go.
#[derive(Clone, Copy, Debug)]
pub struct Spool<'a> {
    /// The folder.
    pub folder: &'a SpoolFolder,
    /// What its file is called: letters, digits, `-` and `_`.
    pub id: &'a str,
}

/// Names and values, in the order of the form; one name may be there several times.
pub type Form = Vec<(String, Vec<u8>)>;

/// A body, taken in.
#[derive(Debug)]
pub struct Taken {
    /// The body, or the part of it that was asked for.
    pub input: Input,
    /// How large that is.
    pub size: u64,
    /// The other fields of the form.
    pub form: Form,
    /// What the form says of the part's media type.
    pub media_type: Option<String>,
    /// What the form says the part's file is called on the sender's machine. Not to be trusted as a path.
    pub file_name: Option<String>,
}

/// Where an input is.
#[derive(Debug)]
pub enum Input {
    /// In memory.
    Memory(Bytes),
    /// In the spool, and gone when dropped before [`SpoolFile::keep`].
    File(SpoolFile),
}

impl<W: FnMut(&[u8])> Intake<'_, W> {
    /// Takes in a body; `content_type` is the request's. Dropped before its end, it leaves nothing behind.
    ///
    /// # Errors
    /// See [`IntakeError`]. At the first error it stops reading.
    pub async fn take<B>(
        mut self,
        content_type: Option<&HeaderValue>,
        mut body: B,
    ) -> Result<Taken, IntakeError>
    where
        B: Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        let mut sink = Sink::new(self.most_in_memory, self.spool);
        let mut fields = self.field.map(|field| Fields::new(field, content_type)).transpose()?;
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame?.into_data() else { continue }; // trailers
            (self.watch)(&bytes);
            match &mut fields {
                Some(fields) => fields.take(&bytes, &mut sink).await?,
                None => sink.take(&bytes).await?,
            }
        }
        let found = fields.map(Fields::finish).transpose()?.unwrap_or_default();
        let (input, size) = sink.finish().await?;
        let form::Found { others, media_type, file_name } = found;
        Ok(Taken { input, size, form: others, media_type, file_name })
    }
}

/// The fields of a multipart form that is in memory, files among them, with the limits they have beside a file; `None`
/// if the body is none.
///
/// # Errors
/// See [`FormError`].
pub fn fields(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Option<Form>, FormError> {
    form::fields(content_type, body)
}

#[cfg(test)]
mod tests;
