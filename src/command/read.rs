//! A command as its route says it.

use super::keys::{ALLOW, DIR, ENV, NICE, WHEN};
use super::patterns::Patterns;
use super::{Command, shell};
use crate::handler::RouteShape;
use crate::handler::placeholder::{CommandSource, Part, Template};
use crate::schema::{Fault, Key, Placed, Reader};

impl Command {
    /// Reads a route's command: the list under `operand`, and [`super::keys::KEYS`]. Without an operand there is none, and
    /// outside workers pull; then only `when` means something. `None` if something is wrong, which the reader has been
    /// told.
    pub fn read(reader: &mut Reader<'_>, operand: Option<&Key>, route: &RouteShape<'_>) -> Option<Self> {
        let line = match operand {
            Some(key) => line(reader, key, route.parameters),
            None => Some(Vec::new()),
        };
        let (parameters, complete) = (route.parameters, line.as_deref());
        let allow = match operand {
            Some(key) => Patterns::read(reader, &ALLOW, parameters, |source| unused(source, complete, key)),
            None => Patterns::default(),
        };
        let when = Patterns::read(reader, &WHEN, parameters, |_| None);
        match (operand, complete) {
            (Some(key), Some(line)) => code(reader, key, line, &allow),
            (Some(_), None) => {}
            (None, _) => no_effect(reader),
        }
        let env = env(reader, parameters);
        let dir = reader.path(&DIR).map(Into::into);
        let nice = reader.integer(&NICE).and_then(|nice| i32::try_from(nice).ok());
        Some(Self { line: line?, allow, when, env, dir, nice })
    }

    /// The program, as its route names it.
    pub fn program(&self) -> Option<&str> {
        self.line.first().and_then(shell::literal)
    }
}

fn line(reader: &mut Reader<'_>, key: &Key, parameters: &[&str]) -> Option<Vec<Template<CommandSource>>> {
    let texts = reader.texts(key)?;
    let mut line = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let argument = match Template::parse(text.text, parameters) {
            Ok(argument) => argument,
            Err(error) => {
                reader.fault(Fault::new(text.place, error.to_string()).help(error.help(parameters)));
                continue;
            }
        };
        if index == 0 {
            program(reader, key, *text, &argument);
        }
        nul(reader, *text);
        line.push(argument);
    }
    (line.len() == texts.len()).then_some(line)
}

fn program(reader: &mut Reader<'_>, key: &Key, text: Placed<'_>, argument: &Template<CommandSource>) {
    let what = if argument.parts.is_empty() {
        format!("the first of `{}` is the program, and this one has no name", key.name)
    } else if shell::literal(argument).is_none() {
        "a request chooses arguments, never the program".to_owned()
    } else {
        return;
    };
    reader.fault(Fault::new(text.place, what).help(format!("for example: {}", key.line())));
}

/// A complaint of what has a pattern in `allow`, and no argument uses it.
fn unused(
    source: &CommandSource,
    line: Option<&[Template<CommandSource>]>,
    key: &Key,
) -> Option<(String, &'static str)> {
    let mut parts = line?.iter().flat_map(|argument| &argument.parts);
    let is_used = parts.any(|part| matches!(part, Part::Value(own) if own == source));
    let what = || format!("no argument of `{}` uses {{{source}}}", key.name);
    (!is_used).then(|| (what(), "leave it out; whether anything runs is for `when` to say"))
}

/// Complains of code that whoever asks would write.
fn code(reader: &mut Reader<'_>, key: &Key, line: &[Template<CommandSource>], allow: &Patterns) {
    let Some((at, source)) = shell::open_code(line, |source| allow.of(source).is_some()) else { return };
    let place = reader.texts(key).and_then(|texts| texts.get(at).map(|text| text.place.clone()));
    let what = format!("a shell reads this as code, and whoever asks would choose {{{source}}} in it");
    let fault = Fault::new(&place.unwrap_or_else(|| reader.place(key)), what);
    let own = format!(r#"["sh", "-c", "... \"$1\"", "sh", "{{{source}}}"]"#);
    reader
        .fault(fault.help(format!("make it an argument of its own: {own}; or give it a pattern in `allow`")));
}

fn no_effect(reader: &mut Reader<'_>) {
    for key in [ALLOW, ENV, DIR, NICE].iter().filter(|key| reader.has(key)).collect::<Vec<_>>() {
        let fault = Fault::new(&reader.place(key), format!("`{}` has no effect without a command", key.name));
        reader.fault(fault.help("leave it out: the workers that pull run what they like"));
    }
}

fn env(reader: &mut Reader<'_>, parameters: &[&str]) -> Vec<(String, String)> {
    let env = reader.map(&ENV);
    for (name, value) in &env {
        if name.text.is_empty() || name.text.contains(['=', '\0']) {
            reader.fault(Fault::new(name.place, format!("{:?} is no name for a variable", name.text)));
        }
        nul(reader, *value);
        let parts = Template::<CommandSource>::parse(value.text, parameters).map(|template| template.parts);
        if parts.is_ok_and(|parts| parts.iter().any(|part| matches!(part, Part::Value(_)))) {
            let fault =
                Fault::new(value.place, "placeholders are filled in in arguments, not in the environment");
            reader.fault(fault.help("make it an argument of the command"));
        }
    }
    env.into_iter().map(|(name, value)| (name.text.to_owned(), value.text.to_owned())).collect()
}

fn nul(reader: &mut Reader<'_>, text: Placed<'_>) {
    if text.text.contains('\0') {
        reader.fault(Fault::new(text.place, "no argument or variable holds a NUL").help("leave it out"));
    }
}
