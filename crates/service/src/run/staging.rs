//! Opening staging when a process starts: what is merely down is waited for, what is wrong ends it.

use storage::{BucketTrash, Unproven};
use uuid::Uuid;

use super::start::NotYet;
use crate::failure::Failure;
use crate::wiring::{Files, StagingSide};

/// Opens staging. No marker is "not mounted (yet)"; another staging's marker is wrong, and so, for
/// a process that `deletes` originals, is a bucket that deletes what it is not asked to.
pub(super) async fn open(
    staging: &StagingSide,
    staging_id: Uuid,
    deletes: bool,
) -> Result<Files, NotYet> {
    let down = |fault: recording::StagingFault| NotYet::Down(fault.to_string());
    match staging.read_marker().await.map_err(down)? {
        Some(found) if found != staging_id => return Err(foreign(staging, found)),
        Some(_) | None => {}
    }
    let files = staging.open(staging_id).await.map_err(down)?;
    if deletes && let StagingSide::Bucket(bucket) = staging {
        let trash = BucketTrash::open(bucket, staging_id).await.map_err(down)?;
        trash
            .prove_conditions()
            .await
            .map_err(|unproven| refused(staging, unproven))?;
        tracing::info!(%staging, "staging deletes only what a deletion names");
    }
    Ok(files)
}

fn foreign(staging: &StagingSide, found: Uuid) -> NotYet {
    let (what, hint) = match staging {
        StagingSide::Folder(_) => (
            "folder",
            "mount this installation's staging there, or set CALLFERRY_STAGING_URL",
        ),
        StagingSide::Bucket(_) => (
            "bucket",
            "set CALLFERRY_STAGING_URL to this installation's own bucket or prefix",
        ),
    };
    let message = format!("the staging {what} {staging} belongs to another installation ({found})");
    NotYet::Wrong(Failure::failed(message).hint(hint).into())
}

/// Only cleanup refuses such a staging: all other roles delete nothing there.
fn refused(staging: &StagingSide, unproven: Unproven) -> NotYet {
    let message = format!("cleanup refuses the staging {staging}: {unproven}");
    let hint = match unproven {
        Unproven::Unreachable(_) => return NotYet::Down(message),
        Unproven::Ignored(_) => {
            "an original that nobody copied could be deleted there; use a store that honours \
             If-Match on DELETE, or run without the role cleanup: then originals stay"
        }
        Unproven::Refused(_) => {
            "cleanup's identity must be allowed to delete originals, and to put and delete objects \
             below .callferry/ there, under a KMS key also kms:GenerateDataKey and kms:Decrypt: \
             see deploy/README.md"
        }
    };
    NotYet::Wrong(Failure::failed(message).hint(hint).into())
}
