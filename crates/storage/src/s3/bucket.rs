//! One bucket as one account reaches it for one purpose: place, session, client.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::{HeaderMap, Method};
use object_store::client::HttpClient;
use recording::Fault;

use super::exchange::{Ask, Repeat};
use super::place::Place;
use crate::credentials::Session;
use crate::deadline;

/// Made once for each (revision, account, purpose) and shared by all its requests.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(super) place: Place,
    pub(super) session: Arc<Session>,
    pub(super) client: HttpClient,
    /// Repetitions of one request at most.
    pub(super) retries: u32,
    /// Whether it is known that the store refuses a conditional PUT to a key that is taken.
    pub(super) creates_only: AtomicBool,
}

impl Bucket {
    pub(crate) fn new(
        place: Place,
        session: Arc<Session>,
        client: HttpClient,
        retries: u32,
    ) -> Self {
        let creates_only = AtomicBool::new(place.is_aws);
        Self {
            place,
            session,
            client,
            retries,
            creates_only,
        }
    }

    /// A request with the standing headers, no body, and a look's patience.
    pub(super) fn ask(
        &self,
        operation: &'static str,
        method: Method,
        key: Option<&str>,
        query: &str,
    ) -> Result<Ask<'static>, Fault> {
        let mut headers = HeaderMap::with_capacity(24);
        for (name, value) in &self.place.standing {
            headers.insert(name, value.clone());
        }
        Ok(Ask {
            operation,
            method,
            uri: self.place.url(key, query)?,
            headers,
            body: Bytes::new(),
            progress: None,
            fence: None,
            patience: deadline::LOOK,
            repeat: Repeat::Always,
            streams: false,
        })
    }
}
