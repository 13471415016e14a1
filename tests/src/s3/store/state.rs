//! The index in memory, changed only by applying journal entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use s3s::{S3Result, s3_error};

use super::NULL_VERSION;
use super::records::{Entry, ObjectRecord, PartRecord, UploadRecord};

/// Everything there is.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<String, Bucket>,
    pub(crate) uploads: BTreeMap<String, UploadRecord>,
}

/// One bucket.
pub(crate) struct Bucket {
    pub(crate) owner: String,
    pub(crate) versioned: bool,
    /// Whether every version is locked, without an end: a default retention.
    pub(crate) locking: bool,
    /// Versions of each key, oldest first; never empty.
    pub(crate) objects: BTreeMap<String, Vec<Arc<ObjectRecord>>>,
}

impl Bucket {
    /// The current object; none when there is none or its last version is a delete marker.
    pub(crate) fn current(&self, key: &str) -> Option<&Arc<ObjectRecord>> {
        let newest = self.objects.get(key)?.last()?;
        (!newest.marker).then_some(newest)
    }

    /// A version, delete markers included.
    pub(crate) fn version(&self, key: &str, version: &str) -> Option<&Arc<ObjectRecord>> {
        let mut versions = self.objects.get(key)?.iter();
        versions.find(|object| object.version == version)
    }

    /// The current objects below a prefix, in order of their keys.
    pub(crate) fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<ObjectRecord>> {
        self.versions_below(prefix)
            .filter_map(|versions| versions.last())
            .filter(|object| !object.marker)
    }

    /// All versions below a prefix, key by key.
    pub(crate) fn versions_below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Vec<Arc<ObjectRecord>>> {
        self.objects
            .range::<str, _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, versions)| versions)
    }
}

impl State {
    pub(crate) fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        let bucket = self.buckets.get(name);
        bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    /// The blobs in use.
    pub(crate) fn blobs(&self) -> BTreeSet<u64> {
        let objects = self.buckets.values().flat_map(|it| it.objects.values());
        let objects = objects.flatten().flat_map(|it| blobs_of(it));
        let parts = self.uploads.values().flat_map(|it| it.parts.values());
        objects.chain(parts.map(blob_of)).collect()
    }

    /// Makes a change; returns the blobs that are no longer needed.
    pub(crate) fn apply(&mut self, entry: Entry) -> Vec<u64> {
        match entry {
            Entry::BucketMade {
                name,
                owner,
                versioned,
                locking,
                made_ms: _,
            } => {
                let bucket = Bucket {
                    owner,
                    versioned,
                    locking,
                    objects: BTreeMap::new(),
                };
                self.buckets.insert(name, bucket);
                Vec::new()
            }
            Entry::BucketGone { name } => self.remove_bucket(&name),
            Entry::VersionsKept { name } => {
                if let Some(bucket) = self.buckets.get_mut(&name) {
                    bucket.versioned = true;
                }
                Vec::new()
            }
            Entry::Put { bucket, object } => self.put(&bucket, object),
            Entry::Removed {
                bucket,
                key,
                version,
            } => self.remove(&bucket, &key, &version),
            Entry::UploadMade { upload } => {
                self.uploads.insert(upload.id.clone(), upload);
                Vec::new()
            }
            Entry::PartMade { upload, part } => {
                let upload = self.uploads.get_mut(&upload);
                let old = upload.and_then(|upload| upload.parts.insert(part.number, part));
                old.iter().map(blob_of).collect()
            }
            Entry::PartGone { upload, number } => {
                let upload = self.uploads.get_mut(&upload);
                let part = upload.and_then(|upload| upload.parts.remove(&number));
                part.iter().map(blob_of).collect()
            }
            Entry::UploadGone { upload } => {
                let upload = self.uploads.remove(&upload);
                upload
                    .iter()
                    .flat_map(|it| it.parts.values().map(blob_of))
                    .collect()
            }
            Entry::Completed {
                upload,
                bucket,
                object,
            } => {
                let used: BTreeSet<u64> = blobs_of(&object).collect();
                let mut freed = self.put(&bucket, object);
                if let Some(upload) = self.uploads.remove(&upload) {
                    let parts = upload.parts.values().map(blob_of);
                    freed.extend(parts.filter(|blob| !used.contains(blob)));
                }
                freed
            }
        }
    }

    fn put(&mut self, bucket: &str, object: ObjectRecord) -> Vec<u64> {
        let Some(bucket) = self.buckets.get_mut(bucket) else {
            return Vec::new();
        };
        let versions = bucket.objects.entry(object.key.clone()).or_default();
        let mut freed = Vec::new();
        if object.version == NULL_VERSION {
            versions.retain(|old| {
                let goes = old.version == NULL_VERSION;
                if goes {
                    freed.extend(blobs_of(old));
                }
                !goes
            });
        }
        versions.push(Arc::new(object));
        freed
    }

    fn remove(&mut self, bucket: &str, key: &str, version: &str) -> Vec<u64> {
        let Some(bucket) = self.buckets.get_mut(bucket) else {
            return Vec::new();
        };
        let Some(versions) = bucket.objects.get_mut(key) else {
            return Vec::new();
        };
        let mut freed = Vec::new();
        versions.retain(|old| {
            let goes = old.version == version;
            if goes {
                freed.extend(blobs_of(old));
            }
            !goes
        });
        if versions.is_empty() {
            bucket.objects.remove(key);
        }
        freed
    }

    fn remove_bucket(&mut self, name: &str) -> Vec<u64> {
        let mut freed = Vec::new();
        if let Some(bucket) = self.buckets.remove(name) {
            let objects = bucket.objects.values().flatten();
            freed.extend(objects.flat_map(|object| blobs_of(object)));
        }
        self.uploads.retain(|_, upload| {
            let goes = upload.bucket == name;
            if goes {
                freed.extend(upload.parts.values().map(blob_of));
            }
            !goes
        });
        freed
    }
}

fn blobs_of(object: &ObjectRecord) -> impl Iterator<Item = u64> {
    object.segments.iter().map(|segment| segment.blob)
}

fn blob_of(part: &PartRecord) -> u64 {
    part.segment.blob
}
