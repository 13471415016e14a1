//! What only a check asks of a bucket: the fleet's own requests in another form, and the few that
//! the fleet does not make yet.

use std::sync::Arc;

use http::{Method, Uri};
use object_store::client::HttpClient;
use recording::{Fault, Observed, Operation, ParkReason};

use super::bucket::Bucket;
use super::exchange::Trouble;
use super::look::observed;
use super::place::encode;
use super::xml;
use crate::credentials::Session;
use crate::exchange::Line;
use crate::shown::ShownOnce;

impl Bucket {
    /// The same, reached by another client; nothing is believed of it that was not shown.
    pub(crate) fn through(&self, client: HttpClient) -> Self {
        Self {
            place: self.place.clone(),
            session: Arc::clone(&self.session),
            line: Line {
                client,
                ..self.line.clone()
            },
            creates_only: ShownOnce::new(false),
        }
    }

    /// The same, whoever owns it. Only for asking why something was refused.
    pub(crate) fn whoever_owns_it(&self) -> Self {
        let mut bucket = self.through(self.line.client.clone());
        bucket.place.standing.clear();
        bucket
    }

    /// The same without the wishes for new objects whose headers begin like this.
    pub(crate) fn without_wish(&self, leading: &str) -> Self {
        let mut bucket = self.through(self.line.client.clone());
        let names = self.place.creating.keys();
        let unwanted = names.filter(|name| name.as_str().starts_with(leading));
        for name in unwanted {
            bucket.place.creating.remove(name);
        }
        bucket
    }

    /// Whether the destination has wishes for new objects whose headers begin like this.
    pub(crate) fn has_wish(&self, leading: &str) -> bool {
        let mut names = self.place.creating.keys();
        names.any(|name| name.as_str().starts_with(leading))
    }

    /// Its session.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// How it is reached.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Its own URL.
    pub(crate) fn url(&self) -> Result<Uri, Fault> {
        self.place.url(None, "")
    }

    /// Whether it was seen to refuse a conditional PUT to a key that is taken.
    pub(crate) fn creates_only(&self) -> bool {
        self.creates_only.is_shown()
    }

    /// HEAD without the checksum, which a KMS key would be needed for.
    pub(crate) async fn head(&self, key: &str) -> Result<Observed, Fault> {
        let ask = self.ask(Operation::Look, Method::HEAD, Some(key), "")?;
        let answer = self.exchange(&ask).await;
        observed(&answer.map_err(|it| it.fault(Operation::Look))?.headers)
    }

    /// Deletes an object, or one version. What is not there is deleted already.
    pub(crate) async fn delete(&self, key: &str, version: Option<&str>) -> Result<(), Fault> {
        let query = match version {
            Some(version) => format!("versionId={}", encode(version)),
            None => String::new(),
        };
        let ask = self.ask(Operation::Delete, Method::DELETE, Some(key), &query)?;
        match self.exchange(&ask).await {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(refusal))
                if matches!(refusal.code.as_deref(), Some("NoSuchKey" | "NoSuchVersion")) =>
            {
                Ok(())
            }
            Err(trouble) => Err(trouble.fault(Operation::Delete)),
        }
    }

    /// Whether the versions of a key may be listed.
    pub(crate) async fn list_versions(&self, key: &str) -> Result<(), Fault> {
        let query = format!("max-keys=10&prefix={}&versions=", encode(key));
        let ask = self.ask(Operation::List, Method::GET, None, &query)?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::List))?;
        understood(&answer.body, "ListVersionsResult")
    }

    /// Whether the parts of an upload may be listed.
    pub(crate) async fn list_parts(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        let query = format!("max-parts=1&uploadId={}", encode(upload_id));
        let ask = self.ask(Operation::List, Method::GET, Some(key), &query)?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::List))?;
        understood(&answer.body, "ListPartsResult")
    }
}

fn understood(body: &[u8], root: &str) -> Result<(), Fault> {
    if xml::root(body).as_deref() == Some(root) {
        return Ok(());
    }
    let detail = "list: the answer cannot be understood";
    Err(Fault::new(ParkReason::OutcomeUnknown, detail))
}
