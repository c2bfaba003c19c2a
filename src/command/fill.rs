//! From a request to the arguments of a program.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::asked::LONGEST;
use super::{Asked, Command, Unfit, Wants};
use crate::handler::placeholder::{CommandSource, Part, Template};

/// How much the values of all arguments may be, in bytes. The kernel takes 2 MiB by default, the environment included
/// (a quarter of the stack's limit, execve(2)).
const ALL_TOGETHER: usize = 1 << 20;

impl Command {
    /// What has to be known of a request's body.
    pub fn wants(&self) -> Wants {
        let arguments = self.line.iter().flat_map(|argument| &argument.parts);
        let of_line = arguments.filter_map(|part| match part {
            Part::Value(source) => Some(source),
            Part::Literal(_) => None,
        });
        let sources: Vec<_> = of_line.chain(self.when.iter().map(|(source, _)| source)).collect();
        Wants {
            form: sources.iter().any(|source| matches!(source, CommandSource::Form(_))),
            json: sources.iter().any(|source| matches!(source, CommandSource::Json(_))),
        }
    }

    /// Whether `when` wants a request: all that it names is there and as it says.
    ///
    /// # Errors
    /// When something it names is an object or list of JSON, or longer than any argument.
    pub fn is_wanted(&self, asked: &Asked<'_>) -> Result<bool, Unfit> {
        for (source, pattern) in self.when.iter() {
            if !asked.value(source)?.is_some_and(|value| pattern.fits(&value)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The program and its arguments for a request; none for a queue that outside workers pull from.
    ///
    /// # Errors
    /// When a value is missing, or is none that may stand there.
    pub fn fill(&self, asked: &Asked<'_>) -> Result<Vec<OsString>, Unfit> {
        let mut left = ALL_TOGETHER;
        self.line.iter().map(|argument| self.argument(argument, asked, &mut left)).collect()
    }

    fn argument(
        &self,
        argument: &Template<CommandSource>,
        asked: &Asked<'_>,
        left: &mut usize,
    ) -> Result<OsString, Unfit> {
        let mut filled = Vec::new();
        for part in &argument.parts {
            let source = match part {
                Part::Literal(text) => {
                    filled.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Value(source) => source,
            };
            let value = self.permitted(source, asked, filled.is_empty())?;
            *left = left
                .checked_sub(value.len())
                .filter(|_| filled.len() + value.len() <= LONGEST)
                .ok_or_else(|| Unfit::TooLong(source.to_string()))?;
            filled.extend_from_slice(&value);
        }
        Ok(OsString::from_vec(filled))
    }

    /// A value that may stand in an argument; whether at its beginning matters.
    fn permitted<'r>(
        &self,
        source: &CommandSource,
        asked: &Asked<'r>,
        is_first: bool,
    ) -> Result<Cow<'r, [u8]>, Unfit> {
        let value = asked.value(source)?.ok_or_else(|| Unfit::Missing(source.to_string()))?;
        if value.contains(&0) {
            return Err(Unfit::Nul(source.to_string()));
        }
        match self.allow.of(source) {
            Some(pattern) if pattern.fits(&value) => Ok(value),
            Some(_) => Err(Unfit::NotAllowed(source.to_string())),
            None if is_first && value.starts_with(b"-") => Err(Unfit::Dash(source.to_string())),
            None => Ok(value),
        }
    }
}
