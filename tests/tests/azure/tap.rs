//! A tap on the line to Azurite (plain http): counts what passes, and loses, damages or refuses it
//! to order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Put,
    Block,
    Commit,
    Head,
    List,
    Get,
}

impl What {
    fn of(method: &Method, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let is = |word: &str| query.split('&').any(|pair| pair == word);
        match (method, is("comp=block"), is("comp=blocklist")) {
            (&Method::PUT, true, _) => Self::Block,
            (&Method::PUT, _, true) => Self::Commit,
            (&Method::PUT, _, _) => Self::Put,
            (&Method::HEAD, _, _) => Self::Head,
            (_, _, true) => Self::List,
            (_, _, _) => Self::Get,
        }
    }
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It arrives and is done; the answer is lost.
    Lose,
    /// It never arrives, and is never answered.
    Hold,
    /// One bit of its body, or of the answer's to a read, is another.
    Flip,
    /// Its checksum is not passed on, nor one in the answer.
    Strip,
    /// It is answered by this status and code, without a body and without being passed on.
    Answer(u16, &'static str),
}

#[derive(Debug)]
struct Rule {
    what: What,
    act: Act,
    skip: usize,
    times: usize,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// After so many requests of a kind the token of the next one is no good any more.
    revokes: Option<(What, usize)>,
    revoked: Option<HeaderValue>,
    refused: usize,
    /// What tokens are exchanged for: Azurite takes none over plain http.
    exchanged: Option<String>,
    seen: Vec<(What, String, HeaderMap)>,
}

/// Ends with its handle.
pub(crate) struct Tap {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _listening: JoinSet<()>,
}

impl Tap {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let mut listening = JoinSet::new();
        let ear = Arc::clone(&state);
        listening.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut lines = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let line = Line {
                    client: client.clone(),
                    server: server.clone(),
                    state: Arc::clone(&ear),
                };
                lines.spawn(serve(stream, line));
            }
        });
        Self {
            address,
            state,
            _listening: listening,
        }
    }

    pub(crate) fn endpoint(&self, account: &str) -> String {
        format!("http://{}/{account}", self.address)
    }

    /// The next `times` requests of this kind, after `skip` more.
    pub(crate) fn arm(&self, what: What, act: Act, (skip, times): (usize, usize)) {
        self.state.lock().unwrap().rules.push(Rule {
            what,
            act,
            skip,
            times,
        });
    }

    /// Takes any token in the place of this signature, which is what Azurite gets to see.
    pub(crate) fn take_tokens_for(&self, sas: &str) {
        self.state.lock().unwrap().exchanged = Some(sas.to_owned());
    }

    /// After so many more requests of this kind the token that they came with is refused, whatever
    /// it is shown for.
    pub(crate) fn revoke_token(&self, what: What, after: usize) {
        let mut state = self.state.lock().unwrap();
        let seen = state.seen.iter().filter(|(seen, ..)| *seen == what).count();
        state.revokes = Some((what, seen + after));
    }

    /// How many requests came with a token that is no good any more.
    pub(crate) fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    pub(crate) fn disarm(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// How many of this kind came by.
    pub(crate) fn count(&self, what: What) -> usize {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|(seen, ..)| *seen == what).count()
    }

    /// Paths with queries, and headers, of all that came by.
    pub(crate) fn seen(&self) -> Vec<(What, String, HeaderMap)> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().seen.clear();
    }
}

#[derive(Clone)]
struct Line {
    client: reqwest::Client,
    server: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

async fn serve(stream: TcpStream, line: Line) {
    let service = service_fn(move |request| line.clone().pass(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Clients go away in the middle, and we cut on purpose.
    drop(connection.await);
}

impl Line {
    async fn pass(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (mut head, body) = request.into_parts();
        let what = What::of(&head.method, &head.uri);
        let act = self.noted(what, &head.uri, &head.headers);
        if act == Some(Act::Hold) {
            std::future::pending::<()>().await;
        }
        let mut body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        if let Some(Act::Answer(status, code)) = act {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            if !code.is_empty() {
                let code = code.parse().unwrap();
                answer.headers_mut().insert("x-ms-error-code", code);
            }
            return Ok(answer);
        }
        if act == Some(Act::Flip) && what != What::Get {
            body = flipped(&body);
        }
        if act == Some(Act::Strip) {
            head.headers.remove("x-ms-content-crc64");
        }
        let mut url = format!("http://{}{}", self.server, head.uri);
        let exchanged = self.state.lock().unwrap().exchanged.clone();
        if let Some(sas) = exchanged.filter(|_| head.headers.contains_key("authorization")) {
            head.headers.remove("authorization");
            let between = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{between}{sas}");
        }
        let passed = self.client.request(head.method, url);
        let passed = passed.headers(head.headers).body(body).send().await;
        let answer = passed.map_err(|_| Cut)?;
        if act == Some(Act::Lose) {
            return Err(Cut);
        }
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove("transfer-encoding");
        let mut body = answer.bytes().await.map_err(|_| Cut)?;
        if act == Some(Act::Flip) && what == What::Get {
            body = flipped(&body);
        }
        if act == Some(Act::Strip) {
            headers.remove("x-ms-content-crc64");
        }
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    fn noted(&self, what: What, uri: &Uri, headers: &HeaderMap) -> Option<Act> {
        let mut state = self.state.lock().unwrap();
        state.seen.push((what, uri.to_string(), headers.clone()));
        let token = headers.get("authorization");
        if let Some((kind, after)) = state.revokes
            && kind == what
            && state.seen.iter().filter(|(seen, ..)| *seen == what).count() > after
        {
            state.revoked = token.cloned();
            state.revokes = None;
        }
        if token.is_some() && state.revoked.as_ref() == token {
            state.refused += 1;
            return Some(Act::Answer(401, "InvalidAuthenticationInfo"));
        }
        for rule in state.rules.iter_mut().filter(|rule| rule.what == what) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 {
                rule.times -= 1;
                return Some(rule.act);
            }
        }
        None
    }
}

fn flipped(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.into()
}
