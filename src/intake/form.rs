//! A multipart form of which one part is wanted: that goes on to the sink, the others are kept, as long as they are small.

use hyper::header::HeaderValue;

use super::multipart::{Event, Multipart, Part};
use super::parameters::{essence, parameter};
use super::sink::Sink;
use super::{Form, FormError, IntakeError};

/// How many parts a form may have.
pub const MOST_PARTS: usize = 100;

/// How large a field may be that is not the file.
pub const MOST_OF_FIELD: usize = 64 * 1024;

/// How large they may be together, with their names.
pub const MOST_OF_ALL: usize = 1024 * 1024;

/// So much is looked at at once, however much comes at once.
const PIECE: usize = 64 * 1024;

/// Of names that strangers chose, so much is repeated.
const MOST_OF_NAME: usize = 64;

/// The form in the course of being read.
pub struct Fields<'f> {
    /// The name of the part that is wanted.
    field: &'f str,
    multipart: Multipart,
    others: Others,
    /// Whether the part that is being read is the wanted one.
    is_file: bool,
    file: Option<File>,
}

struct File {
    part: Part,
    size: u64,
}

/// What was in a form.
#[derive(Default)]
pub struct Found {
    pub others: Form,
    pub media_type: Option<String>,
    pub file_name: Option<String>,
}

impl<'f> Fields<'f> {
    pub fn new(field: &'f str, content_type: Option<&HeaderValue>) -> Result<Self, FormError> {
        let multipart = begin(content_type)?.ok_or_else(|| FormError::NoForm(field.to_owned()))?;
        Ok(Self { field, multipart, others: Others::default(), is_file: false, file: None })
    }

    /// Takes the next bytes of the body.
    pub async fn take(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), IntakeError> {
        for piece in bytes.chunks(PIECE) {
            self.multipart.push(piece);
            while let Some(event) = self.others.next(&mut self.multipart)? {
                match event {
                    Event::Part(part) => self.begin_part(part)?,
                    Event::Content(bytes) => match &mut self.file {
                        Some(file) if self.is_file => {
                            file.size += bytes.len() as u64;
                            sink.take(&bytes).await?;
                        }
                        _ => self.others.add(&bytes)?,
                    },
                    Event::PartEnd => self.is_file = false,
                }
            }
        }
        Ok(())
    }

    fn begin_part(&mut self, part: Part) -> Result<(), FormError> {
        self.others.count(&part)?;
        if part.name != self.field {
            return self.others.begin(part.name);
        }
        if self.file.is_some() {
            return Err(FormError::Twice(self.field.to_owned()));
        }
        self.is_file = true;
        self.file = Some(File { part, size: 0 });
        Ok(())
    }

    /// The body is over.
    pub fn finish(self) -> Result<Found, FormError> {
        let others = self.others.finish(&self.multipart)?;
        // A browser sends a file without name and content where none was chosen.
        let is_chosen = |file: &File| file.size > 0 || file.part.file_name.as_deref() != Some("");
        let Some(file) = self.file.filter(is_chosen) else {
            return Err(FormError::Missing(self.field.to_owned()));
        };
        Ok(Found { others, media_type: file.part.media_type, file_name: file.part.file_name })
    }
}

/// The small fields, kept within limits.
#[derive(Default)]
struct Others {
    form: Form,
    /// How much is kept.
    size: usize,
    parts: usize,
    /// The name of the last part that has begun.
    last: Option<String>,
}

impl Others {
    fn next(&self, multipart: &mut Multipart) -> Result<Option<Event>, FormError> {
        multipart.next().map_err(|malformed| FormError::Malformed { place: self.place(), malformed })
    }

    /// Counts a part, whatever it is.
    fn count(&mut self, part: &Part) -> Result<(), FormError> {
        self.parts += 1;
        self.last = Some(shortened(&part.name));
        if self.parts > MOST_PARTS { Err(FormError::TooManyParts) } else { Ok(()) }
    }

    fn begin(&mut self, name: String) -> Result<(), FormError> {
        self.size += name.len();
        self.form.push((name, Vec::new()));
        if self.size > MOST_OF_ALL { Err(FormError::FieldsTooLarge) } else { Ok(()) }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), FormError> {
        let Some((name, value)) = self.form.last_mut() else { return Ok(()) };
        // Whichever limit comes first, in whatever pieces the bytes come.
        let (of_field, of_all) = (MOST_OF_FIELD - value.len(), MOST_OF_ALL - self.size);
        if bytes.len() > of_field && of_field <= of_all {
            return Err(FormError::FieldTooLarge(shortened(name)));
        }
        if bytes.len() > of_all {
            return Err(FormError::FieldsTooLarge);
        }
        self.size += bytes.len();
        value.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self, multipart: &Multipart) -> Result<Form, FormError> {
        if multipart.is_complete() { Ok(self.form) } else { Err(FormError::Incomplete(self.place())) }
    }

    /// How far it has come, for people.
    fn place(&self) -> String {
        match &self.last {
            Some(name) => format!("in or after the part {name:?}"),
            None => "before its first part".to_owned(),
        }
    }
}

/// The fields of a form that is in memory; `None` if it is none.
pub fn fields(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Option<Form>, FormError> {
    let Some(mut multipart) = begin(content_type)? else { return Ok(None) };
    let mut others = Others::default();
    for piece in body.chunks(PIECE) {
        multipart.push(piece);
        while let Some(event) = others.next(&mut multipart)? {
            match event {
                Event::Part(part) => {
                    others.count(&part)?;
                    others.begin(part.name)?;
                }
                Event::Content(bytes) => others.add(&bytes)?,
                Event::PartEnd => {}
            }
        }
    }
    others.finish(&multipart).map(Some)
}

/// A form of this Content-Type; `None` if it is of no form.
fn begin(content_type: Option<&HeaderValue>) -> Result<Option<Multipart>, FormError> {
    let value = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    if !essence(value).eq_ignore_ascii_case(b"multipart/form-data") {
        return Ok(None);
    }
    let boundary = parameter(value, "boundary").ok_or(FormError::NoBoundary)?;
    let is_one =
        (1..=70).contains(&boundary.len()) && boundary.iter().all(|byte| (b' '..=b'~').contains(byte));
    if is_one { Ok(Some(Multipart::new(&boundary))) } else { Err(FormError::NoBoundary) }
}

fn shortened(name: &str) -> String {
    name.chars().take(MOST_OF_NAME).collect()
}
