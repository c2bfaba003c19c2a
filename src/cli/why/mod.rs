//! `dormouse why`: what keeps it awake, what woke it, why it sleeps. It asks those that run and wakes none.

pub mod instance;
pub mod look;
mod overview;
mod text;
mod when;

use std::io::{self, Write};

use serde_json::{Value, json};

use self::instance::{Instance, Places};
use self::look::look;
use super::{Why, code};
use crate::control;

/// Runs `dormouse why` and gives the exit code: 0 when there was something to tell, 64 for a NAME or DIR that is not
/// there, 69 when what runs does not answer, 77 when this user may not ask.
pub fn run(arguments: &Why) -> u8 {
    let instances = match wanted(arguments, &Places::of_system()) {
        Ok(instances) => instances,
        Err(message) => {
            eprintln!("dormouse: {message}");
            return code::USAGE;
        }
    };
    let is_one_wanted = arguments.name.is_some() || arguments.runtime.is_some();
    let looks: Vec<Value> = instances.iter().map(look).collect();
    let output = match looks.as_slice() {
        [one] if arguments.json && is_one_wanted => format!("{one:#}\n"),
        all if arguments.json => format!("{:#}\n", json!({ "version": control::VERSION, "instances": all })),
        [] => text::NONE.to_owned(),
        [one] => text::render(one),
        several => overview::render(several),
    };
    // A reader that leaves early (`| head`) is no fault of ours.
    let _ = io::stdout().lock().write_all(output.as_bytes());
    looks.iter().map(code_of).min().unwrap_or(code::OK)
}

/// Whom to look at.
fn wanted(arguments: &Why, places: &Places) -> Result<Vec<Instance>, String> {
    if let Some(directory) = &arguments.runtime {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        return match directory.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("there is no directory {}", directory.display()))
            }
            _ => Ok(vec![Instance::at(&directory)]),
        };
    }
    let Some(name) = &arguments.name else { return Ok(places.all()) };
    match places.named(name) {
        Some(instance) => Ok(vec![instance]),
        None => Err(unknown(name, places)),
    }
}

fn unknown(name: &str, places: &Places) -> String {
    let names: Vec<_> = places.names().into_iter().collect();
    let known = match names.len() {
        0 => "there is none at all".to_owned(),
        _ => format!("there are: {}", names.join(", ")),
    };
    format!(
        "no instance is named {name:?}: neither {} nor {} is there; {known}",
        places.run.join(name).display(),
        places.etc.join(format!("{name}.toml")).display()
    )
}

fn code_of(look: &Value) -> u8 {
    match look["state"].as_str() {
        Some("silent") => code::UNAVAILABLE,
        Some("forbidden") => code::NO_PERMISSION,
        _ => code::OK,
    }
}
