//! What the harness is asked to do.

use std::path::PathBuf;

/// Requests of each kind in the short form.
const SHORT: u64 = 480;

/// The options, as `cargo test --test loss -- ...` passes them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests of each kind.
    pub requests: u64,
    pub seed: u64,
    /// The dormouse to test.
    pub dormouse: PathBuf,
    /// The built Go server: its presence asks for the peers.
    pub go: Option<PathBuf>,
    /// Only kinds whose names contain one of these.
    pub only: Vec<String>,
    pub lists: bool,
}

/// How it is called.
pub const USAGE: &str = "usage: loss [--requests N] [--seed N] [--peers GO-SERVER] [KIND]...
  --requests N       requests of each kind of client (480)
  --seed N           draw the same pauses as the run that printed this seed
  --dormouse FILE    the dormouse to test (the one that cargo built with this)
  --peers GO-SERVER  ask the peers as well; tests/loss/run builds and installs what they need
  KIND               only kinds whose names contain this";

impl Options {
    /// Reads the arguments. Those that `cargo test` hands to all its tests are taken and mean nothing here.
    ///
    /// # Errors
    /// An argument that is not understood.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let dormouse = env!("CARGO_BIN_EXE_dormouse").into();
        let mut options =
            Self { requests: SHORT, seed: seed(), dormouse, go: None, only: Vec::new(), lists: false };
        while let Some(argument) = arguments.next() {
            let mut value = |name: &str| arguments.next().ok_or_else(|| format!("{name} needs a value"));
            match argument.as_str() {
                "--requests" => options.requests = number(&value("--requests")?)?,
                "--seed" => options.seed = number(&value("--seed")?)?,
                "--dormouse" => options.dormouse = value("--dormouse")?.into(),
                "--peers" => options.go = Some(value("--peers")?.into()),
                "--list" => options.lists = true,
                "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--show-output" | "--exact" => {}
                "--test-threads" | "--format" | "--color" | "--skip" => drop(value(&argument)?),
                other if other.starts_with("--test-threads=") || other.starts_with("--format=") => {}
                other if other.starts_with('-') => return Err(format!("{other} is not understood")),
                name => options.only.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether this kind is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text} is no number"))
}

/// Another one each time.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
}
