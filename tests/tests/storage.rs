//! Conformance of the crate `storage`: originals and trash on a real file system and in buckets,
//! and copies in the laboratory's S3 and STS server, which enforces who may do what and misbehaves
//! to order. Sessions are also checked against moto, which other people wrote.

#[cfg(test)]
#[path = "storage/bucket_staging.rs"]
mod bucket_staging;
#[cfg(test)]
#[path = "storage/checking.rs"]
mod checking;
#[cfg(test)]
#[path = "s3_lab/client.rs"]
#[expect(dead_code, reason = "the laboratory's own tests use the rest of it")]
mod client;
#[cfg(test)]
#[path = "storage/credentials.rs"]
mod credentials;
#[cfg(test)]
#[path = "storage/damage.rs"]
mod damage;
#[cfg(test)]
#[path = "storage/denied.rs"]
mod denied;
#[cfg(test)]
#[path = "storage/erasing.rs"]
mod erasing;
#[cfg(test)]
#[path = "storage/every_kind.rs"]
mod every_kind;
#[cfg(test)]
#[path = "storage/hostile.rs"]
mod hostile;
#[cfg(test)]
#[path = "storage/kinds.rs"]
mod kinds;
#[cfg(test)]
#[path = "storage/leftovers.rs"]
mod leftovers;
#[cfg(test)]
#[path = "storage/looking.rs"]
mod looking;
#[cfg(test)]
#[path = "storage/moto.rs"]
mod moto;
#[cfg(test)]
#[path = "storage/options.rs"]
mod options;
#[cfg(test)]
#[path = "storage/originals.rs"]
mod originals;
#[cfg(test)]
#[path = "storage/parts.rs"]
mod parts;
#[cfg(test)]
#[path = "storage/playing.rs"]
mod playing;
#[cfg(test)]
#[path = "storage/reaching.rs"]
mod reaching;
#[cfg(test)]
#[path = "storage/rechecking.rs"]
mod rechecking;
#[cfg(test)]
#[path = "storage/removing.rs"]
mod removing;
#[cfg(test)]
#[path = "storage/resuming.rs"]
mod resuming;
#[cfg(test)]
#[path = "storage/sending.rs"]
mod sending;
#[cfg(test)]
#[path = "storage/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "storage/setting.rs"]
mod setting;
#[cfg(test)]
#[path = "storage/tap.rs"]
mod tap;
#[cfg(test)]
#[path = "storage/trash.rs"]
mod trash;
