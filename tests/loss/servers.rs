//! The servers that are asked: dormouse, and its peers where they are there.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::activator::Program;
use crate::clients::{Kind, Reuse};
use crate::edge::Window;
use crate::peers::Peers;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Dormouse,
    /// A Go `net/http` server that follows `ConnState`.
    Go,
    /// `systemd-socket-proxyd --exit-idle-time` in front of nginx.
    Proxyd,
}

impl Server {
    pub const ALL: [Self; 3] = [Self::Dormouse, Self::Go, Self::Proxyd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dormouse => "dormouse",
            Self::Go => "Go net/http",
            Self::Proxyd => "proxyd + nginx",
        }
    }

    /// Whether it has what this kind of client speaks. HTTP/2 without TLS is not in Go's standard library.
    pub fn speaks(self, kind: &Kind) -> bool {
        !(self == Self::Go && kind.reuse == Reuse::Streams)
    }

    /// How far around the edge its clients ask.
    pub fn window(self, kind: &Kind, after: Duration) -> Window {
        let around = Duration::from_millis(10);
        // proxyd's timer has sd-event's default accuracy; on kept connections it is nginx that ends them, in time.
        let is_loose = self == Self::Proxyd && kind.reuse == Reuse::Never;
        let behind = if is_loose { Duration::from_millis(260) } else { around };
        // The hint is one second less, in whole seconds; clients of a server that gives none ask at the same moments.
        let hint = kind.honours_hint.then(|| Duration::from_secs(after.as_secs().saturating_sub(1)));
        Window { after, before: around, behind, hint }
    }
}

/// Where everything the servers need is kept while the harness runs.
pub struct Place {
    folder: PathBuf,
    dormouse: PathBuf,
    pub peers: Option<Peers>,
}

impl Place {
    /// Makes the folder, and listens there to what services tell systemd.
    pub fn new(dormouse: PathBuf) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("dormouse-loss-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        crate::activator::listen_to_notifications(&folder.join("notify"))?;
        Ok(Self { folder, dormouse, peers: None })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What to start for one service.
    pub fn program(&self, server: Server, kind: &Kind, after: Duration) -> io::Result<Program> {
        let command = match (server, &self.peers) {
            (Server::Dormouse, _) => {
                vec![self.dormouse.clone(), "serve".into(), "--config".into(), self.config(after)?]
            }
            (Server::Go, Some(peers)) => peers.go(after),
            (Server::Proxyd, Some(peers)) => peers.proxyd(kind, after)?,
            (_, None) => return Err(io::Error::other("the peers are not there")),
        };
        Ok(Program { command, notify_socket: self.folder.join("notify") })
    }

    /// The grace is the default; no process stays longer than it has to.
    fn config(&self, after: Duration) -> io::Result<PathBuf> {
        let millis = after.as_millis();
        let file = self.folder.join(format!("{millis}ms.toml"));
        let text = format!(
            "[sleep]\nafter = \"{millis}ms\"\nmin_awake = \"0s\"\n\n\
             [[route]]\npath = \"/echo/{{number}}\"\nredirect = \"/got/{{number}}\"\n"
        );
        if !file.exists() {
            // In one step: another thread may be about to start a service with it.
            let draft = self.folder.join(format!("{millis}ms.{:?}", std::thread::current().id()));
            std::fs::write(&draft, text)?;
            std::fs::rename(&draft, &file)?;
        }
        Ok(file)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.peers = None; // nginx has its files there
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
