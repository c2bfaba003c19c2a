//! The peers: Debian's nginx behind systemd-socket-proxyd, and a Go server of ours.

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clients::{Kind, Reuse};

/// Where Debian has it.
const PROXYD: &str = "/usr/lib/systemd/systemd-socket-proxyd";

/// How long nginx may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// One nginx for all services, on a port for each quiet and protocol.
pub struct Peers {
    go: PathBuf,
    nginx: Child,
    ports: Vec<(Upstream, SocketAddr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Upstream {
    after: Duration,
    is_http2: bool,
}

impl Peers {
    /// Starts nginx; the Go server has been built already.
    ///
    /// # Errors
    /// When something is not installed, with what that is.
    pub fn start(folder: &Path, go: &Path, afters: &[Duration]) -> io::Result<Self> {
        for (what, package) in [(Path::new(PROXYD), "systemd"), (go, "tests/loss/run, which builds it")] {
            if !what.exists() {
                return Err(io::Error::other(format!("{} is missing: {package}", what.display())));
            }
        }
        let mut ports = Vec::new();
        for &after in afters {
            for is_http2 in [false, true] {
                // Free now; nobody else on the machine is given it so soon again.
                let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
                ports.push((Upstream { after, is_http2 }, address));
            }
        }
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config(folder, &ports))?;
        let mut command = Command::new("nginx");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command.arg("-p").arg(folder).args(["-e", "stderr", "-c"]).arg(&file);
        // SAFETY: one async-signal-safe call between fork and exec.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(end_with_parent);
        }
        let nginx = command.spawn().map_err(|error| {
            io::Error::other(format!("cannot start nginx (package nginx-light): {error}"))
        })?;
        let peers = Self { go: go.to_owned(), nginx, ports };
        peers.wait_for_nginx()?;
        Ok(peers)
    }

    fn wait_for_nginx(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.ports.iter().try_for_each(|(_, port)| TcpStream::connect(port).map(drop))
        {
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("nginx does not listen: {error}")));
            }
            std::thread::sleep(Duration::from_millis(20)); // a poll with a deadline, not a guess
        }
        Ok(())
    }

    /// The Go server, to leave after this quiet.
    pub fn go(&self, after: Duration) -> Vec<PathBuf> {
        vec![self.go.clone(), format!("-after={}ms", after.as_millis()).into()]
    }

    /// socket-proxyd, to leave after this quiet.
    pub fn proxyd(&self, kind: &Kind, after: Duration) -> io::Result<Vec<PathBuf>> {
        let wanted = Upstream { after, is_http2: kind.reuse == Reuse::Streams };
        let port = self.ports.iter().find(|(upstream, _)| *upstream == wanted);
        let (_, port) = port.ok_or_else(|| io::Error::other("nginx has no port for that"))?;
        let idle = format!("--exit-idle-time={}ms", after.as_millis());
        Ok(vec![PROXYD.into(), idle.into(), port.to_string().into()])
    }
}

/// nginx does not outlive a harness that is killed.
fn end_with_parent() -> io::Result<()> {
    // SAFETY: a plain system call about this process alone.
    #[allow(unsafe_code)]
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// nginx keeps a connection as long as the others do, and says so when that is whole seconds.
fn config(folder: &Path, ports: &[(Upstream, SocketAddr)]) -> String {
    let mut text = format!(
        "daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nevents {{ worker_connections 4096; }}\nhttp {{\n\
         access_log off;\nabsolute_redirect off;\nkeepalive_requests 1000000;\n\
         client_body_temp_path {0}/body;\nproxy_temp_path {0}/proxy;\nfastcgi_temp_path {0}/fastcgi;\n\
         uwsgi_temp_path {0}/uwsgi;\nscgi_temp_path {0}/scgi;\n",
        folder.display()
    );
    for (upstream, port) in ports {
        let http2 = if upstream.is_http2 { " http2" } else { "" };
        let hint = match upstream.after.as_secs().saturating_sub(1) {
            0 => String::new(),
            secs => format!(" {secs}s"),
        };
        let _ = write!(
            text,
            "server {{ listen {port}{http2}; keepalive_timeout {}ms{hint};\n\
             location ~ ^/echo/(.*)$ {{ return 308 /got/$1; }} }}\n",
            upstream.after.as_millis()
        );
    }
    text + "}\n"
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.nginx.kill(); // one process, without a master
        let _ = self.nginx.wait();
    }
}
