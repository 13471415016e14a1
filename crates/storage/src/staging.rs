//! Staging on a local or mounted file system, as two powers: [`LocalStaging`] reads originals,
//! [`LocalTrash`] moves them into the trash and deletes them there. Staging that is a bucket is in
//! [`bucket`].
//!
//! Nothing here is ever believed to be missing unless the staging marker was seen afterwards, in
//! the root *reopened by path*: an unmounted root is an empty folder, and an empty folder must not
//! look like a thousand deleted originals. Nothing is opened through a link, and everything is
//! opened beneath its account's own folder.

pub(crate) mod bucket;
mod buffers;
mod compare;
mod faults;
mod marker;
mod originals;
mod places;
mod root;
mod shift;
mod trash;

pub use bucket::{BucketOriginals, BucketStaging, BucketTrash, ListedOriginal, Unproven};
pub use marker::{MarkerFault, read_marker, write_marker};
pub use originals::LocalStaging;
pub use trash::LocalTrash;

use recording::StagingFault;

/// Runs file system calls where they may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StagingFault> + Send + 'static,
) -> Result<T, StagingFault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StagingFault::Unavailable(format!(
            "a file system call was cut short: {error}"
        ))),
    }
}
