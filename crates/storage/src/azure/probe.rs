//! What only a check asks of a container: the fleet's own requests in another form, and the few
//! that the fleet does not make yet.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Uri};
use object_store::client::HttpClient;
use recording::{Crc64Nvme, Fault, Operation};

use super::blocks::{block_id, upload_id};
use super::classify::{BLOB_NOT_FOUND, is_damage};
use super::container::Container;
use super::put::CRC64;
use super::sas::Grant;
use crate::digest::{crc64nvme, to_base64_le};
use crate::exchange::{Line, Signer, Trouble, encode, put_header};
use crate::shown::ShownOnce;

impl Container {
    /// The same, reached by another client; nothing is believed of it that was not shown.
    pub(crate) fn through(&self, client: HttpClient) -> Self {
        let line = Line {
            client,
            ..self.line.clone()
        };
        let (place, identity) = (self.place.clone(), self.identity.clone());
        let mut container = Self::new(place, identity, line, Arc::clone(&self.clock));
        container.creates_only = ShownOnce::new(false);
        container
    }

    /// How it is reached.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// A blob's URL without anything that authorizes.
    pub(crate) fn url(&self, key: &str) -> Result<Uri, Fault> {
        self.place.url(key, "")
    }

    /// Whether it was seen to refuse a conditional Put Blob to a name that is taken.
    pub(crate) fn creates_only(&self) -> bool {
        self.creates_only.is_shown()
    }

    /// Whether there is something to authorize requests with.
    pub(crate) async fn authorized(&self, key: &str) -> Result<(), Fault> {
        self.blob(key, Grant::Read).credential().await.map(drop)
    }

    /// Whether the store holds bytes against their checksum: shown by a block of one byte that
    /// comes with a wrong one. A store that takes it drops it after a week.
    pub(crate) async fn refuses_damage(&self, key: &str) -> Result<bool, Fault> {
        const BYTE: &[u8] = b".";
        let blob = self.blob(key, Grant::Blocks);
        let lie = Crc64Nvme::new(!crc64nvme(BYTE).value());
        let id = block_id(&upload_id(), 1, lie);
        let query = format!("comp=block&blockid={}", encode(&id));
        let mut ask = blob.ask(Operation::PutPart, Method::PUT, &query)?;
        put_header(&mut ask.headers, CRC64, &to_base64_le(lie))?;
        ask.body = Bytes::from_static(BYTE);
        match blob.exchange(&ask).await {
            Ok(_) => Ok(false),
            Err(Trouble::Refused(refusal)) if is_damage(refusal.code.as_deref()) => Ok(true),
            Err(trouble) => Err(trouble.fault(Operation::PutPart)),
        }
    }

    /// Deletes a blob. Whether there was one.
    pub(crate) async fn delete(&self, key: &str) -> Result<bool, Fault> {
        let blob = self.blob(key, Grant::Delete);
        let ask = blob.ask(Operation::Delete, Method::DELETE, "")?;
        match blob.exchange(&ask).await {
            Ok(_) => Ok(true),
            Err(Trouble::Refused(refusal)) if refusal.code.as_deref() == Some(BLOB_NOT_FOUND) => {
                Ok(false)
            }
            Err(trouble) => Err(trouble.fault(Operation::Delete)),
        }
    }
}
