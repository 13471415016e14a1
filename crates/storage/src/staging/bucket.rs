//! Staging that is a bucket of our own: [`BucketOriginals`] reads originals, [`BucketTrash`]
//! deletes them.
//!
//! **Decision.** An original is deleted by one request that the bucket carries out only on exactly
//! the object that was copied: a version by its id, anything else under `If-Match` with the entity
//! tag that was remembered when it was read. **Because** a bucket cannot rename, so nothing can be
//! moved aside and compared there, and between a look and a plain deletion another original could
//! take the place of the one that was copied. **Instead of** a copy to another key, which would
//! have to be deleted under the same condition. A bucket that ignores the condition is found out
//! before the first deletion ([`BucketTrash::prove_conditions`]).
//!
//! **Order of effects.** Look (is it the copied one?) → delete on that condition. **Crashes.**
//! Before the deletion the original is at its path; after it nothing is, which a later look finds,
//! and believes only if the marker is seen after it. **Unknown.** A deletion whose answer was lost
//! is followed by a look; what that cannot settle begins again, with a new look at the copy.
//!
//! **Versions.** Where the bucket keeps them, the version that was copied is deleted for good and
//! no other is touched: an older version under the same key, which nobody copied, is then the one
//! that shows. An original from before versions were kept is hidden beneath a delete marker.

pub(crate) mod object;

mod entries;
mod erase;
mod marked;
mod originals;
mod proof;
mod reach;
mod trash;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use recording::{Fault, StagingFault, StagingPath};
use uuid::Uuid;

use super::buffers::Buffers;
use super::marker::MarkerFault;
use object::Put;
pub(crate) use reach::Reach;

pub use originals::BucketOriginals;
pub use proof::Unproven;
pub use trash::BucketTrash;

/// What we keep in staging for ourselves lies below this; no original may be announced there.
const OURS: &str = ".callferry";

/// Staging in a bucket. Cheap to clone. By itself it can only mark and list.
#[derive(Debug, Clone)]
pub struct BucketStaging {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reach: Reach,
    /// What all keys begin with: empty, or ending in a slash.
    prefix: String,
    /// As people write it.
    shown: String,
    buffers: Arc<Buffers>,
}

/// An object below a prefix of staging, for whoever announces originals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOriginal {
    /// Its path, relative to staging.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was put there, to the second.
    pub modified: DateTime<Utc>,
    /// Whether it is a folder's stand-in rather than an original.
    pub is_folder: bool,
}

impl BucketStaging {
    pub(crate) fn new(reach: Reach, prefix: &str, shown: String) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            words => format!("{words}/"),
        };
        let shared = Shared {
            reach,
            prefix,
            shown,
            buffers: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The id in the marker, if there is one, by a new request.
    ///
    /// # Errors
    /// The bucket cannot be read, or its marker holds no id.
    pub async fn read_marker(&self) -> Result<Option<Uuid>, StagingFault> {
        match self.marker().await? {
            Some(text) => read_id(&text).map(Some).ok_or_else(|| {
                StagingFault::Unavailable("the marker cannot be read: it holds no id".to_owned())
            }),
            None => Ok(None),
        }
    }

    /// Writes the marker with `staging_id`, create-only. Repeating it is harmless.
    ///
    /// # Errors
    /// [`MarkerFault::OtherStaging`] if another id is there; nothing is changed then.
    pub async fn write_marker(&self, staging_id: Uuid) -> Result<(), MarkerFault> {
        if self.has_marker(staging_id).await? {
            return Ok(());
        }
        let text = Bytes::from(format!("{staging_id}\n"));
        let put = self.shared.reach.put(&self.marker_key(), text, true).await;
        match put.map_err(cannot("the marker cannot be written"))? {
            // Two writers may have met: whoever came first has won.
            Put::Done | Put::Taken => {}
        }
        if self.has_marker(staging_id).await? {
            return Ok(());
        }
        let why = "the marker was written and is not there";
        Err(StagingFault::Unavailable(why.to_owned()).into())
    }

    /// Every object at `below` or beneath it, in the order of their keys; all of staging where it
    /// is empty. What we keep there for ourselves is left out.
    ///
    /// # Errors
    /// The bucket does not say, or not all of it.
    pub async fn list(&self, below: &str) -> Result<Vec<ListedOriginal>, StagingFault> {
        let below = below.trim_matches('/');
        let asked = format!("{}{below}", self.shared.prefix);
        let mut listed = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let page = self.shared.reach.list(&asked, from.as_deref()).await;
            let page = page.map_err(cannot("staging cannot be listed"))?;
            for line in page.lines {
                let Some(path) = line.key.strip_prefix(&self.shared.prefix) else {
                    let why = "staging cannot be listed: a key outside of it is listed";
                    return Err(StagingFault::Unavailable(why.to_owned()));
                };
                let rest = path.strip_prefix(below).unwrap_or_default();
                let is_beneath = below.is_empty() || rest.is_empty() || rest.starts_with('/');
                if is_beneath && path.split('/').next() != Some(OURS) {
                    listed.push(ListedOriginal {
                        path: path.to_owned(),
                        size_bytes: line.size_bytes,
                        modified: line.modified,
                        is_folder: line.is_folder || path.ends_with('/'),
                    });
                }
            }
            match page.next {
                Some(next) if from.as_deref() != Some(&next) => from = Some(next),
                Some(_) => {
                    let why = "staging cannot be listed: the listing does not get on";
                    return Err(StagingFault::Unavailable(why.to_owned()));
                }
                None => return Ok(listed),
            }
        }
    }

    fn key(&self, path: &StagingPath) -> String {
        format!("{}{path}", self.shared.prefix)
    }

    fn own_key(&self, name: &str) -> String {
        format!("{}{OURS}/{name}", self.shared.prefix)
    }

    fn marker_key(&self) -> String {
        self.own_key("staging")
    }

    async fn marker(&self) -> Result<Option<Bytes>, StagingFault> {
        let read = self.shared.reach.read_small(&self.marker_key()).await;
        read.map_err(cannot("the marker cannot be read"))
    }

    async fn has_marker(&self, staging_id: Uuid) -> Result<bool, MarkerFault> {
        let Some(text) = self.marker().await? else {
            return Ok(false);
        };
        match read_id(&text) {
            Some(found) if found == staging_id => Ok(true),
            Some(found) => Err(MarkerFault::OtherStaging(found)),
            None => Err(MarkerFault::Malformed),
        }
    }
}

impl fmt::Display for BucketStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shared.shown)
    }
}

fn read_id(text: &[u8]) -> Option<Uuid> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Staging does not do what it must: says what, and what the bucket said.
fn cannot(what: &str) -> impl Fn(Fault) -> StagingFault {
    move |fault| StagingFault::Unavailable(format!("{what}: {}", fault.detail))
}
