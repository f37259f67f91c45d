//! A counting HTTP/1.1 proxy on loopback, to kill a process at every request that it makes.
//!
//! A test puts one in front of each server that the process speaks to, with one [`Counter`] for all, and names the
//! request at which the process dies: before the server saw it, or after the server did it and before the process learnt
//! so. No request after that one takes effect. A counter and its proxies serve one life of one process; the next life
//! gets new ones.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The longest body, in bytes.
const MOST: usize = 32 << 20;

/// Which side of a request's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The request was made and never takes effect.
    Before,
    /// It took effect and its answer never comes.
    After,
}

/// Counts requests over all proxies that share it, and stops them at one.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    state: Arc<Mutex<Counted>>,
    reached: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Counted {
    requests: Vec<String>,
    stop: Option<Stop>,
    stopped: bool,
}

#[derive(Debug)]
struct Stop {
    /// Which requests count; `None` for all.
    only: Option<String>,
    n: usize,
    point: Point,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    StopBefore,
    StopAfter,
    /// It came after the one at which the process dies.
    Drop,
}

impl Counter {
    /// A counter that has seen nothing and stops nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops at request `n`, counted from 1 over all proxies of this counter. The future resolves when that request is
    /// held at its point, which is when the test kills the process; it never does where the process makes fewer.
    pub fn stop_at(&self, n: usize, point: Point) -> impl Future<Output = ()> + Send + 'static {
        self.stop(Stop { only: None, n, point })
    }

    /// The same, where only requests that [`Counter::requests`] shows like this count: for a process whose other
    /// requests come in no certain order.
    pub fn stop_at_this(&self, request: &str, n: usize, point: Point) -> impl Future<Output = ()> + Send + 'static {
        self.stop(Stop { only: Some(request.to_owned()), n, point })
    }

    fn stop(&self, stop: Stop) -> impl Future<Output = ()> + Send + 'static {
        self.state().stop = Some(stop);
        let mut reached = self.reached.subscribe();
        async move {
            if reached.wait_for(|reached| *reached).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// How many requests came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().requests.len()
    }

    /// The requests in the order in which they came, such as `POST / DynamoDB_20120810.Query`, for a message that names
    /// the point at which something went wrong.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn take(&self, request: String) -> Fate {
        let mut state = self.state();
        state.requests.push(request);
        if state.stopped {
            return Fate::Drop;
        }
        let Some(Stop { only, n, point }) = &state.stop else { return Fate::Pass };
        let counts = |request: &String| only.as_ref().is_none_or(|only| only == request);
        if state.requests.iter().filter(|request| counts(request)).count() < *n {
            return Fate::Pass;
        }
        let fate = match point {
            Point::Before => Fate::StopBefore,
            Point::After => Fate::StopAfter,
        };
        state.stopped = true;
        fate
    }

    /// Tells the test, and holds the request for as long as its connection lives.
    async fn hold(&self) -> ! {
        self.reached.send_replace(true);
        std::future::pending().await
    }

    fn state(&self) -> MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy to one server. It and its connections go away when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// The client's connection is closed without an answer.
type Cut = Box<dyn std::error::Error + Send + Sync>;

impl Proxy {
    /// Starts a proxy to a server on this machine.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: SocketAddr, counter: &Counter) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let counter = counter.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        let counter = counter.clone();
                        let service = service_fn(move |request| handle(upstream, counter.clone(), request));
                        connections.spawn(server::Builder::new().serve_connection(TokioIo::new(client), service));
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as `http://ADDRESS`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn handle(upstream: SocketAddr, counter: Counter, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    // A request counts when it is there as a whole: half a request has no effect at any server.
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), MOST).await?;
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let line = format!("{} {} {}", parts.method, parts.uri, target.unwrap_or_default());
    let fate = counter.take(line.trim_end().to_owned());
    match fate {
        Fate::Pass | Fate::StopAfter => {}
        Fate::StopBefore => counter.hold().await,
        Fate::Drop => std::future::pending().await,
    }
    // In a task of its own, so that it takes effect even when its client has gone, as with a real server.
    let answer = tokio::spawn(forward(upstream, Request::from_parts(parts, Body::from(body)))).await?;
    if fate == Fate::StopAfter {
        counter.hold().await
    }
    answer
}

/// One request over one connection: nothing is sent twice, as a pool of connections might.
async fn forward(upstream: SocketAddr, mut request: Request<Body>) -> Result<Response<Body>, Cut> {
    reframe(request.headers_mut());
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (mut parts, body) = sender.send_request(request).await?.into_parts();
    let body = to_bytes(Body::new(body), MOST).await?;
    connection.abort();
    reframe(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Bodies are whole here; how each side frames them is its own affair.
fn reframe(headers: &mut HeaderMap) {
    for framing in [header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(framing);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use axum::extract::State;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A server that counts what took effect, and answers with the host that was asked for and the body.
    async fn upstream() -> (SocketAddr, Arc<AtomicUsize>) {
        async fn echo(State(effects): State<Arc<AtomicUsize>>, headers: HeaderMap, body: String) -> String {
            effects.fetch_add(1, Ordering::SeqCst);
            format!("{} {body}", headers[header::HOST].to_str().unwrap())
        }
        let effects = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(echo).with_state(effects.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, effects)
    }

    /// Reads from the connection until the text is there.
    async fn until(connection: &mut TcpStream, text: &str) -> String {
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains(text) {
            let read = timeout(SOON, connection.read_buf(&mut got)).await.expect("the proxy answers").unwrap();
            assert_ne!(read, 0, "the connection ended before `{text}`: {}", String::from_utf8_lossy(&got));
        }
        String::from_utf8(got).unwrap()
    }

    #[tokio::test]
    async fn a_connection_lives_on_and_chunked_bodies_pass() {
        let (address, effects) = upstream().await;
        let counter = Counter::new();
        let proxy = Proxy::start(address, &counter).await.unwrap();
        let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
        let requests = [
            "POST /one HTTP/1.1\r\nHost: dynamo\r\nX-Amz-Target: DynamoDB_20120810.Query\r\nContent-Length: 3\r\n\r\nabc",
            "PUT /two?x=1 HTTP/1.1\r\nHost: dynamo\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
        ];
        for (request, answer) in requests.into_iter().zip(["dynamo abc", "dynamo def"]) {
            connection.write_all(request.as_bytes()).await.unwrap();
            let got = until(&mut connection, answer).await;
            assert!(got.starts_with("HTTP/1.1 200 OK") && got.contains("content-length: 10"), "{got}");
        }
        assert_eq!(counter.requests(), ["POST /one DynamoDB_20120810.Query", "PUT /two?x=1"]);
        assert_eq!(effects.load(Ordering::SeqCst), 2);
    }

    /// Three requests over two proxies where the process dies at the second: how many take effect.
    async fn effects_when_stopped(point: Point) -> usize {
        let (address, effects) = upstream().await;
        let counter = Counter::new();
        let proxies = [Proxy::start(address, &counter).await.unwrap(), Proxy::start(address, &counter).await.unwrap()];
        let reached = counter.stop_at(2, point);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let get = |proxy: &Proxy| tokio::spawn(client.get(proxy.url()).send());

        get(&proxies[0]).await.unwrap().expect("the first request passes");
        let second = get(&proxies[1]);
        timeout(SOON, reached).await.expect("the second request is reached");
        let third = get(&proxies[0]);
        while counter.count() < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished() && !third.is_finished(), "a request was answered after the process's death");
        second.abort();
        third.abort();
        drop(proxies);
        assert_eq!(counter.count(), 3);
        effects.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn a_request_stopped_before_never_takes_effect() {
        assert_eq!(effects_when_stopped(Point::Before).await, 1);
    }

    #[tokio::test]
    async fn a_request_stopped_after_took_effect_and_none_after_it() {
        assert_eq!(effects_when_stopped(Point::After).await, 2);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_no_answer() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            until(&mut connection, "\r\n\r\n").await;
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
        });
        let proxy = Proxy::start(address, &Counter::new()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let error = timeout(SOON, client.get(proxy.url()).send()).await.unwrap().expect_err("half an answer is none");
        assert!(error.is_request(), "{error:?}");
    }
}
