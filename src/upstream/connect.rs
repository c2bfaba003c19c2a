//! How a connection to an upstream comes about.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::failure::{Failure, Kind};
use super::origin::{Origin, Place, Scheme};
use super::wire::{Plain, Wire};
use crate::activation::find_dead_peers;
use crate::server::transport::{Socket, Transport};

/// What is said on a new connection before the first request: a PROXY protocol header.
pub type Hello = Vec<u8>;

/// Connects, within `limit`.
pub(super) async fn connect(
    origin: &Origin,
    hello: Option<&Hello>,
    limit: Option<Duration>,
) -> Result<(Wire, Plain), Failure> {
    let connecting = async {
        let plain = Plain(Arc::new(Socket::new(socket(&origin.place).await?)?));
        if let Some(hello) = hello {
            say(&plain, hello).await?;
        }
        let wire = match origin.scheme {
            Scheme::Http | Scheme::H2c => Wire::Plain(plain.clone()),
            #[cfg(feature = "tls")]
            Scheme::Https => Wire::Tls(tls::begin(plain.clone(), &origin.place).await?),
            #[cfg(not(feature = "tls"))]
            Scheme::Https => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok((wire, plain))
    };
    let connected: io::Result<_> = match limit {
        None => connecting.await,
        Some(limit) => match tokio::time::timeout(limit, connecting).await {
            Ok(connected) => connected,
            Err(_) => return Err(Failure::new(Kind::ConnectTimeout, origin, None)),
        },
    };
    connected.map_err(|error| Failure::new(Kind::Connect, origin, Some(error.into())))
}

async fn socket(place: &Place) -> io::Result<OwnedFd> {
    let (host, port) = match place {
        Place::Unix(path) => return Ok(UnixStream::connect(path).await?.into_std()?.into()),
        Place::Tcp { host, port } => (host.as_str(), *port),
    };
    let stream = if let Ok(address) = host.parse::<IpAddr>() {
        TcpStream::connect((address, port)).await?
    } else if host.eq_ignore_ascii_case("localhost") {
        // RFC 6761 section 6.3: no need to ask anybody.
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        TcpStream::connect(&loopback.map(|address| SocketAddr::new(address, port))[..]).await?
    } else {
        TcpStream::connect((host, port)).await?
    };
    stream.set_nodelay(true)?;
    find_dead_peers(&stream);
    Ok(stream.into_std()?.into())
}

async fn say(plain: &Plain, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|cx| plain.0.poll_write(cx, &[IoSlice::new(bytes)])).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// TLS to an upstream whose certificate one of the machine's authorities has signed.
#[cfg(feature = "tls")]
pub(super) mod tls {
    use std::io;
    use std::sync::{Arc, OnceLock};

    use hyper_util::rt::TokioIo;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::{Place, Plain};

    /// As hyper wants it.
    pub type Stream = TokioIo<TlsStream<TokioIo<Plain>>>;

    /// Made when it is first needed: reading the machine's certificates takes some milliseconds.
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

    pub async fn begin(plain: Plain, place: &Place) -> io::Result<Box<Stream>> {
        let host = match place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let connector = TlsConnector::from(config().await?);
        Ok(Box::new(TokioIo::new(connector.connect(name, TokioIo::new(plain)).await?)))
    }

    async fn config() -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = CONFIG.get() {
            return Ok(config.clone());
        }
        let made = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??;
        Ok(CONFIG.get_or_init(|| made).clone())
    }

    /// Blocks: it reads files.
    fn make() -> io::Result<Arc<ClientConfig>> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            let message =
                "this machine trusts no certificate authority (package ca-certificates, or SSL_CERT_FILE=)";
            return Err(io::Error::other(message));
        }
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
