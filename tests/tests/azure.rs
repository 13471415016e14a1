//! Conformance of the crate `storage` with Azure Blob storage: copies in Azurite, which Microsoft
//! wrote, with each identity; a tap on the line that loses, damages and refuses to order; Entra's
//! token endpoint as a laboratory.

#[cfg(test)]
#[path = "azure/blocks.rs"]
mod blocks;
#[cfg(test)]
#[path = "azure/checking.rs"]
mod checking;
#[cfg(test)]
#[path = "azure/credentials.rs"]
mod credentials;
#[cfg(test)]
#[path = "azure/identities.rs"]
mod identities;
#[cfg(test)]
#[path = "azure/playing.rs"]
mod playing;
#[cfg(test)]
#[path = "azure/proving.rs"]
mod proving;
#[cfg(test)]
#[path = "azure/removing.rs"]
mod removing;
#[cfg(test)]
#[path = "azure/resuming.rs"]
mod resuming;
#[cfg(test)]
#[path = "azure/secrets.rs"]
mod secrets;
#[cfg(test)]
#[path = "azure/sending.rs"]
mod sending;
#[cfg(test)]
#[path = "azure/setting.rs"]
mod setting;
#[cfg(test)]
#[path = "storage/setting.rs"]
#[expect(dead_code, reason = "the tests of S3 use the rest of it")]
mod staged;
#[cfg(test)]
#[path = "azure/tap.rs"]
mod tap;
