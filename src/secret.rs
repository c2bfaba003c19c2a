//! Secrets: the config names the file each is kept in, and never holds one itself.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::schema::{Fault, Key, Reader};

/// No key or password is longer; what is was named by mistake.
const LARGEST: u64 = 64 * 1024;

/// Where a secret is kept. It is read each time it is needed, so that a new one counts at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    /// `credential:NAME`: what systemd hands to the unit (`LoadCredential=`, systemd.exec(5)).
    Credential(String),
    /// `file:/absolute/path`.
    File(PathBuf),
}

/// A secret itself. It is never shown.
pub struct Revealed(Vec<u8>);

/// Why a text of the config names no secret. None of them repeats the text: it may be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretSyntax {
    /// It is something else altogether.
    #[error("a secret is not written here, only where it is kept")]
    Neither,
    /// `credential:` with something that systemd takes for no name.
    #[error("a credential's name is a file's name in ASCII, without `/`, `:` and control characters")]
    Name,
    /// `file:` with something else than an absolute path.
    #[error("what follows `file:` is an absolute path")]
    Path,
}

/// Why a secret cannot be had. All of it is ours to mend, none of it the client's.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// systemd handed no credentials over at all, or it was not systemd that started us.
    #[error("there is no credential {name:?}, for CREDENTIALS_DIRECTORY is not set; {}", drop_in(.name))]
    NoCredentials {
        /// Which was wanted.
        name: String,
    },
    /// The file of a credential cannot be read.
    #[error("cannot read credential {name:?}, which should be {} ({cause}); {}", .path.display(), drop_in(.name))]
    Credential {
        /// Which was wanted.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another file cannot be read.
    #[error(
        "cannot read {} ({cause}); let the service's user read it, or let systemd hand it over: write \"credential:secret\" \
         instead, and in a drop-in of the unit (systemctl edit) [Service] LoadCredential=secret:{}",
        .path.display(), .path.display()
    )]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing in it, and anybody could sign with that.
    #[error("{} is empty; write the secret into it", .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// It is something else than a secret.
    #[error("{} is larger than {} KiB, which no secret is", .path.display(), LARGEST / 1024)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
}

/// How systemd is told to hand over a credential.
fn drop_in(name: &str) -> String {
    format!(
        "put LoadCredential={name}:/path/of/the/secret under [Service] in a drop-in of the unit (systemctl edit), and \
         restart it"
    )
}

impl Secret {
    /// Reads `credential:NAME` or `file:PATH`.
    ///
    /// # Errors
    /// See [`SecretSyntax`].
    pub fn parse(text: &str) -> Result<Self, SecretSyntax> {
        if let Some(name) = text.strip_prefix("credential:") {
            return if is_name(name) {
                Ok(Self::Credential(name.to_owned()))
            } else {
                Err(SecretSyntax::Name)
            };
        }
        let Some(path) = text.strip_prefix("file:") else { return Err(SecretSyntax::Neither) };
        let is_path = path.starts_with('/') && !path.contains('\0');
        if is_path { Ok(Self::File(path.into())) } else { Err(SecretSyntax::Path) }
    }

    /// Reads a key of the config that names a secret; `None` if it is absent or wrong.
    pub fn of_key(reader: &mut Reader<'_>, key: &Key) -> Option<Self> {
        match Self::parse(reader.text(key)?) {
            Ok(secret) => Some(secret),
            Err(error) => {
                let fault = Fault::new(&reader.place(key), format!("`{}`: {error}", key.name)).conceal();
                reader.fault(fault.help(
                    "write \"credential:NAME\" (systemd's LoadCredential=) or \"file:/absolute/path\"",
                ));
                None
            }
        }
    }

    /// The secret: the bytes of its file, less one newline at their end. It blocks for as long as a small file takes.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(&self) -> Result<Revealed, SecretError> {
        self.read_beside(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }

    fn read_beside(&self, credentials: Option<&Path>) -> Result<Revealed, SecretError> {
        match self {
            Self::File(path) => {
                let bytes =
                    contents(path).map_err(|cause| SecretError::File { path: path.clone(), cause })?;
                Revealed::new(bytes, path)
            }
            Self::Credential(name) => {
                let no_credentials = || SecretError::NoCredentials { name: name.clone() };
                let path = credentials.ok_or_else(no_credentials)?.join(name);
                match contents(&path) {
                    Ok(bytes) => Revealed::new(bytes, &path),
                    Err(cause) => Err(SecretError::Credential { name: name.clone(), path, cause }),
                }
            }
        }
    }
}

/// As the config says it.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Revealed {
    fn new(mut bytes: Vec<u8>, path: &Path) -> Result<Self, SecretError> {
        if bytes.len() as u64 > LARGEST {
            return Err(SecretError::TooLarge { path: path.to_owned() });
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.is_empty() { Err(SecretError::Empty { path: path.to_owned() }) } else { Ok(Self(bytes)) }
    }

    /// The bytes; never empty.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(..)")
    }
}

/// What systemd takes for a credential's name: a file's name that may also name a descriptor (`fdname_is_valid()`).
fn is_name(name: &str) -> bool {
    let is_one = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'/' && byte != b':';
    !matches!(name, "" | "." | "..") && name.len() <= 255 && name.bytes().all(is_one)
}

/// At most one byte more than may be.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe that somebody put there must not block.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
