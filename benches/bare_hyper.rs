//! The yardstick of `benches/run`: a bare hyper server of the crates dormouse uses, with nothing around it.
//!
//! One thread, HTTP/1, keep-alive, one constant answer with the headers that dormouse gives its own. It never sleeps.
//!
//! ```sh
//! systemd-socket-activate -l 3000 target/debug/examples/bare_hyper
//! ```

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use listenfd::ListenFd;
use tokio::net::TcpListener;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The text of the bench's config.
const TEXT: &str = "Hello from a machine that was asleep a moment ago.\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let inherited = ListenFd::from_env().take_tcp_listener(0)?;
    let listener = inherited.ok_or("no socket was inherited")?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that leaves in the middle is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(TEXT.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(KEEP_ALIVE, HeaderValue::from_static("timeout=59"));
    Ok(response)
}
