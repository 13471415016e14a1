//! Who may use the keys that objects are encrypted under, and who may delete what is locked.

use s3s::{S3Result, s3_error};

use super::Emulator;
use crate::s3::access::denied_to;
use crate::s3::policy::Asked;
use crate::s3::store::Attributes;

/// By which service a key is used, as a policy's condition sees it.
const VIA_SERVICE: &str = "s3.us-east-1.amazonaws.com";

impl Emulator {
    /// Refuses whoever may not do this with the key that the attributes name.
    pub(super) fn may_use_key(
        &self,
        caller: Option<&str>,
        action: &str,
        bucket: &str,
        attributes: &Attributes,
    ) -> S3Result<()> {
        let under_kms = attributes.encryption.starts_with("aws:kms");
        if !under_kms || !self.lab.arranged(bucket).guards_keys {
            return Ok(());
        }
        let key = attributes.kms_key_id.as_deref().unwrap_or("aws/s3");
        let context = |name: &str| (name == "kms:ViaService").then(|| VIA_SERVICE.to_owned());
        let asked = Asked {
            action,
            resource: key,
            context: &context,
        };
        match caller.is_some_and(|caller| self.lab.directory.allows(caller, &asked)) {
            true => Ok(()),
            false => Err(denied_to(action, key)),
        }
    }

    /// Refuses to delete a version that is locked. A marker never is.
    pub(super) fn may_delete(&self, bucket: &str, key: &str, version: &str) -> S3Result<()> {
        if !self.lab.arranged(bucket).locks_versions {
            return Ok(());
        }
        match self.store.find(bucket, key, Some(version))? {
            Some(object) if !object.marker => {
                let message = "Access Denied because object protected by object lock.";
                Err(s3_error!(AccessDenied, "{message}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
