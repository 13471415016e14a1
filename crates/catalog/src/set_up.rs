//! What must be known of an owner before it has a destination: for the kit that a customer's
//! administrator is given.

use recording::DestinationOwner;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::destinations::{NEIGHBOURS, account};
use crate::failure::corrupt;
use crate::places::s3_place;
use crate::pool::Lent;
use crate::rows::get;

const OWNER: &str = "-- name: destination_owner
    select external_id from accounts where account_id = $1
    union all
    select default_external_id from installation where $1::text is null";

/// The external id that we minted for the owner.
pub(crate) async fn external_id(
    lent: &mut Lent,
    owner: &DestinationOwner,
) -> Result<String, AdminFault> {
    let minted = lent.rows(OWNER, &[&account(owner)]).await?;
    match (minted.first(), owner) {
        (Some(row), _) => Ok(get(row, "external_id")?),
        (None, DestinationOwner::Account(account)) => Err(AdminFault::no_account(account)),
        (None, DestinationOwner::Default) => {
            Err(corrupt("no installation: run `callferry migrate`").into())
        }
    }
}

impl Catalog {
    /// The external id that we minted for an owner and that its role must ask for.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn external_id(&self, owner: &DestinationOwner) -> Result<String, AdminFault> {
        let row = self.pool.row(OWNER, &[&account(owner)]).await?;
        match (row, owner) {
            (Some(row), _) => Ok(get(&row, "external_id")?),
            (None, DestinationOwner::Account(account)) => Err(AdminFault::no_account(account)),
            (None, DestinationOwner::Default) => {
                Err(corrupt("no installation: run `callferry migrate`").into())
            }
        }
    }

    /// Whether somebody else has a destination in this S3 bucket, so that `{account_id}/` will
    /// lead the keys there. The place is an endpoint, `None` for AWS's own, and a region.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shares_bucket(
        &self,
        owner: &DestinationOwner,
        (endpoint, region): (Option<&str>, &str),
        bucket: &str,
    ) -> Result<bool, AdminFault> {
        let place = s3_place(endpoint, region, bucket);
        let neighbours = self
            .pool
            .rows(NEIGHBOURS, &[&place, &account(owner)])
            .await?;
        Ok(!neighbours.is_empty())
    }
}
