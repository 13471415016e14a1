//! The power to sign URLs that read one object each: for playback, and for showing at set-up that
//! it will work.

use std::sync::Arc;
use std::time::Duration;

use recording::{AccountId, Destination, Fault, ObjectKey, Purpose};

use super::{Reached, Shared};
use crate::signed::{Overrides, SignedUrl};

/// What URLs are signed with: a session that may read, and neither list nor write.
const PURPOSE: Purpose = Purpose::Play;

/// Signs URLs that read one object.
#[derive(Debug, Clone)]
pub struct BucketPlayers {
    shared: Arc<Shared>,
}

/// What a URL is to read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The object.
    pub key: &'a ObjectKey,
    /// Its version, where the bucket keeps versions.
    pub version_id: Option<&'a str>,
    /// How long the URL is wished to be good.
    pub life: Duration,
    /// What the answer says of itself.
    pub overrides: &'a Overrides,
}

impl BucketPlayers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A URL that reads one object of the account, for as long as is wished or for as long as what
    /// signs it is good, whichever is less.
    ///
    /// # Errors
    /// The destination has no credential that can sign, or it is refused; nothing says whether
    /// there is such an object.
    pub async fn signed_get(
        &self,
        destination: &Destination,
        account: &AccountId,
        reading: Reading<'_>,
    ) -> Result<SignedUrl, Fault> {
        let Reading {
            key,
            version_id,
            life,
            overrides,
        } = reading;
        let reached = self.shared.bucket(destination, account, key, PURPOSE)?;
        let key = key.as_str();
        match reached {
            Reached::S3(bucket) => bucket.signed_get(key, version_id, life, overrides).await,
            Reached::Azure(container) => {
                container.signed_get(key, version_id, life, overrides).await
            }
        }
    }

    /// Notes that a store refused what was signed for this account: what signed it is given up.
    ///
    /// # Errors
    /// The destination is not the account's.
    pub fn refused(&self, destination: &Destination, account: &AccountId) -> Result<(), Fault> {
        match self.shared.reached(destination, account, PURPOSE)? {
            Reached::S3(bucket) => bucket.forget_signer(),
            Reached::Azure(container) => container.forget_signer(),
        }
        Ok(())
    }
}
