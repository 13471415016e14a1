//! One bucket as one account reaches it for one purpose: place, session, client.

use std::sync::Arc;

use http::{HeaderMap, Method};
use recording::{Fault, Operation};

use super::place::Place;
use crate::credentials::{Issued, Session};
use crate::exchange::{Ask, Line};
use crate::shown::ShownOnce;

/// Made once for each (revision, account, purpose) and shared by all its requests.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(super) place: Place,
    pub(super) session: Arc<Session>,
    pub(super) line: Line,
    /// Whether it is known that the store refuses a conditional PUT to a key that is taken.
    pub(super) creates_only: ShownOnce,
}

impl Bucket {
    pub(crate) fn new(place: Place, session: Arc<Session>, line: Line) -> Self {
        let creates_only = ShownOnce::new(place.is_aws);
        Self {
            place,
            session,
            line,
            creates_only,
        }
    }

    /// The credential of its session, if it has one.
    pub(crate) fn credential(&self) -> Option<Arc<Issued>> {
        self.session.held()
    }

    /// A request with the standing headers, no body, and a look's patience.
    pub(super) fn ask(
        &self,
        operation: Operation,
        method: Method,
        key: Option<&str>,
        query: &str,
    ) -> Result<Ask<'static>, Fault> {
        let mut headers = HeaderMap::with_capacity(24);
        for (name, value) in &self.place.standing {
            headers.insert(name, value.clone());
        }
        let uri = self.place.url(key, query)?;
        Ok(Ask::new(operation, method, uri, headers))
    }
}
