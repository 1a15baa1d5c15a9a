//! HTTP server on 127.0.0.1 with limits of connections, time and length.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::guard::HEADERS;
use super::refusal::Refusal;

/// Maximum number of connections; a further one replaces an idle one.
const CONNECTIONS: usize = 64;
/// Maximum length of an ordinary request body, in bytes.
pub(super) const BODY: usize = 1 << 20;
/// Memory for longer bodies in progress, in units of [`BODY`], so that slow ones leave room for others.
const LARGE: usize = 256;
/// Maximum number of concurrent requests.
const WORKERS: usize = 8;
/// Time limit of a request's head, and between requests.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Time limit of a request's body.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Time limit of a connection with all its requests; a browser opens another.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// Time to drain the rest of a rejected body: a client that is still sending would not see the response.
const REST_TIME: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted, e.g. for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Interval between checks of the stop flag.
const TICK: Duration = Duration::from_millis(200);
/// Interval between checks for a free connection.
const SOON: Duration = Duration::from_millis(5);

/// A request, for handlers.
pub(super) struct Asked {
    pub(super) method: hyper::Method,
    /// As sent, with escapes.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Bytes,
}

/// A response of a handler.
pub(super) struct Answer {
    pub(super) kind: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { kind, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn json(object: &impl serde::Serialize) -> Result<Self, Refusal> {
        Ok(Self::new("application/json", serde_json::to_vec(object).context("can't write JSON")?))
    }
}

/// Handler of requests.
pub(super) trait Handler: Send + Sync + 'static {
    /// Whether a request is allowed, by its head; returns the maximum length of its body, 0 if anybody may make it.
    fn admit(&self, head: &hyper::http::request::Parts) -> Result<usize, Refusal>;
    fn answer(&self, asked: Asked) -> Result<Answer, Refusal>;
}

/// Listens on a port of 127.0.0.1; 0 takes a free one.
pub(super) fn listen(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener =
        listener.with_context(|| format!("--port {port}: this port can't be used; give another"))?;
    listener.set_nonblocking(true).context("the port can't be waited on")?;
    Ok(listener)
}

/// State of a connection that others can see.
#[derive(Default)]
struct Line {
    /// Number of authorised requests that are not answered yet.
    asked: AtomicU64,
    /// Sequence number of the latest authorised request; 0 for none.
    last: AtomicU64,
}

/// State shared by all connections.
struct Shared<H> {
    handler: Arc<H>,
    requests: AtomicU64,
    /// Permits for long bodies, see [`LARGE`].
    large: Semaphore,
}

/// Serves requests until `stop` is true.
pub(super) fn serve(listener: TcpListener, handler: Arc<impl Handler>, stop: &AtomicBool) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(WORKERS).build();
    let runtime = runtime.context("can't start the server")?;
    let shared = Arc::new(Shared { handler, requests: AtomicU64::new(0), large: Semaphore::new(LARGE) });
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).context("the port can't be waited on")?;
        let mut open: Vec<(JoinHandle<()>, Arc<Line>)> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Ok(accepted) = timeout(TICK, listener.accept()).await else { continue };
            let Ok((stream, _)) = accepted else {
                // It was closed before it was accepted, or there are no file descriptors: closing an idle connection frees one.
                close_idle(&open);
                sleep(PAUSE).await;
                continue;
            };
            while !has_place(&mut open) && !stop.load(Ordering::Relaxed) {
                sleep(SOON).await;
            }
            let _ = stream.set_nodelay(true);
            let line = Arc::new(Line::default());
            let (shared, own) = (Arc::clone(&shared), Arc::clone(&line));
            let task = tokio::spawn(async move {
                let service =
                    service_fn(move |request| respond(Arc::clone(&shared), Arc::clone(&own), request));
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 << 10);
                let connection = server.serve_connection(TokioIo::new(stream), service);
                // A client without a response by then sees a closed connection.
                let _ = timeout(CONNECTION_TIME, connection).await;
            });
            open.push((task, line));
        }
        Ok(())
    })
}

/// Whether there is room for a connection. If not, the one that has been idle for longest is closed, those without any request first.
fn has_place(open: &mut Vec<(JoinHandle<()>, Arc<Line>)>) -> bool {
    open.retain(|(task, _)| !task.is_finished());
    if open.len() < CONNECTIONS {
        return true;
    }
    close_idle(open);
    false
}

/// Closes the connection that has been idle for longest, if any is idle.
fn close_idle(open: &[(JoinHandle<()>, Arc<Line>)]) {
    let open = open.iter().filter(|(task, _)| !task.is_finished());
    let idle = open.filter(|(_, line)| line.asked.load(Ordering::Relaxed) == 0);
    if let Some((task, _)) = idle.min_by_key(|(_, line)| line.last.load(Ordering::Relaxed)) {
        task.abort();
    }
}

async fn respond(
    shared: Arc<Shared<impl Handler>>,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let answer = match handle(&shared, &line, request).await {
        Ok(answer) => response(StatusCode::OK, answer),
        Err(Refusal { status, error }) => {
            let body = serde_json::json!({ "error": error }).to_string();
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = response(status, Answer::new("application/json", body));
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                // The rest of the body is not read.
                response.headers_mut().insert("connection", HeaderValue::from_static("close"));
            }
            response
        }
    };
    Ok(answer)
}

/// Counts a request while it exists.
struct Asking<'a>(&'a Line);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn handle(
    shared: &Shared<impl Handler>,
    line: &Line,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, mut body) = request.into_parts();
    let limit = match shared.handler.admit(&head) {
        Ok(limit) => limit,
        Err(refusal) => {
            drop_rest(&head, body).await;
            return Err(refusal);
        }
    };
    let _asking = (limit > 0).then(|| {
        line.last.store(shared.requests.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        line.asked.fetch_add(1, Ordering::Relaxed);
        Asking(line)
    });
    let too_long = || Refusal::new(413, format!("the request is longer than {limit} bytes"));
    let told = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > limit as u64) {
        drop_rest(&head, body).await;
        return Err(too_long());
    }
    // Without a stated length, the limit is assumed.
    let length = told.map_or(limit, |told| told as usize);
    let _room = if length > BODY {
        let units = u32::try_from(length.div_ceil(BODY).min(LARGE)).unwrap_or(u32::MAX);
        shared.large.acquire_many(units).await.ok()
    } else {
        None
    };
    let read = timeout(BODY_TIME, Limited::new(&mut body, limit).collect()).await;
    let body = match read.map_err(|_| Refusal::new(408, "the request took too long to come"))? {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            drop_rest(&head, body).await;
            return Err(too_long());
        }
        Err(_) => return Err(Refusal::bad("the request broke off")),
    };
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    let handler = Arc::clone(&shared.handler);
    let answer = tokio::task::spawn_blocking(move || handler.answer(asked)).await;
    answer.unwrap_or_else(|_| Err(Refusal::new(500, "this request could not be answered; the others are")))
}

/// Drains and discards the rest of a rejected body, unless its sender waits for permission to send it.
async fn drop_rest(head: &hyper::http::request::Parts, mut body: Incoming) {
    if !head.headers.contains_key(EXPECT) {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = timeout(REST_TIME, rest).await;
    }
}

fn response(status: StatusCode, answer: Answer) -> Response<Full<Bytes>> {
    let Answer { kind, headers, body } = answer;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let all = response.headers_mut();
    for (name, value) in HEADERS {
        all.insert(name, HeaderValue::from_static(value));
    }
    all.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            all.insert(name, value);
        }
    }
    response
}
