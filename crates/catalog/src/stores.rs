//! Stores as rows of `destinations`, their secrets sealed.

use recording::{
    AccountId, AzureContainer, AzureIdentity, Destination, DestinationOwner, Encryption,
    ObjectTags, S3Bucket, S3Options, Secret, Store,
};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::failure::{Failure, corrupt};
use crate::keyring::{KeyRing, Sealed};
use crate::rows::{get, optional_word};

/// What a query must select for [`destination`]: `d` is a row of `destinations`.
macro_rules! destination_columns {
    () => {
        "d.revision, d.account_id as destination_account, d.cloud, d.bucket, d.region, d.role_arn,
         d.endpoint, d.prefix, d.kms_key, d.storage_class, d.expected_owner, d.storage_account,
         d.container, d.identity, d.tenant_id, d.client_id, d.secret_id, d.secret_key_id,
         d.secret_sealed, d.account_leads_key, d.external_id, d.sse, d.bucket_key, d.tags,
         d.bucket_owner_full_control "
    };
}
pub(crate) use destination_columns;

/// The pinned revision. Without a key ring its secret stays locked: for whoever only needs to
/// know where it is.
pub(crate) fn destination(row: &Row, keyring: Option<&KeyRing>) -> Result<Destination, Failure> {
    let owner = match optional_word::<AccountId>(row, "destination_account")? {
        Some(account) => DestinationOwner::Account(account),
        None => DestinationOwner::Default,
    };
    let store = match get(row, "cloud")? {
        "s3" => Store::S3(bucket(row)?),
        "azure" => Store::Azure(container(row, &owner, keyring)?),
        other => return Err(corrupt(format!("`{other}` is not a cloud"))),
    };
    Ok(Destination {
        owner,
        revision: get(row, "revision")?,
        store,
        external_id: get(row, "external_id")?,
        account_leads_key: get(row, "account_leads_key")?,
    })
}

fn bucket(row: &Row) -> Result<S3Bucket, Failure> {
    Ok(S3Bucket {
        bucket: get(row, "bucket")?,
        region: get(row, "region")?,
        role_arn: get(row, "role_arn")?,
        endpoint: get(row, "endpoint")?,
        prefix: get(row, "prefix")?,
        kms_key: get(row, "kms_key")?,
        storage_class: get(row, "storage_class")?,
        expected_owner: get(row, "expected_owner")?,
        options: options(row)?,
    })
}

fn options(row: &Row) -> Result<S3Options, Failure> {
    let tags = serde_json::from_value::<ObjectTags>(get(row, "tags")?);
    Ok(S3Options {
        sse: optional_word::<Encryption>(row, "sse")?,
        bucket_key: get(row, "bucket_key")?,
        tags: tags.map_err(|error| corrupt(format!("tags: {error}")))?,
        bucket_owner_full_control: get(row, "bucket_owner_full_control")?,
    })
}

fn container(
    row: &Row,
    owner: &DestinationOwner,
    keyring: Option<&KeyRing>,
) -> Result<AzureContainer, Failure> {
    let parts = Parts {
        storage_account: get(row, "storage_account")?,
        container: get(row, "container")?,
        endpoint: get(row, "endpoint")?,
        identity: get(row, "identity")?,
        tenant_id: get(row, "tenant_id")?,
        client_id: get(row, "client_id")?,
    };
    let identity = identity(row, &parts, (owner, keyring))?;
    Ok(AzureContainer {
        storage_account: parts.storage_account.to_owned(),
        container: parts.container.to_owned(),
        endpoint: parts.endpoint.map(str::to_owned),
        prefix: get(row, "prefix")?,
        identity,
    })
}

fn identity(
    row: &Row,
    parts: &Parts<'_>,
    lock: (&DestinationOwner, Option<&KeyRing>),
) -> Result<AzureIdentity, Failure> {
    let named = |part: Option<&str>| {
        part.map(str::to_owned)
            .ok_or_else(|| corrupt("an application without its id or its directory"))
    };
    Ok(match parts.identity {
        "access_key" => AzureIdentity::AccessKey {
            access_key: secret(row, parts, lock)?,
        },
        "sas" => AzureIdentity::Sas {
            sas_token: secret(row, parts, lock)?,
        },
        "service_principal" => AzureIdentity::ServicePrincipal {
            tenant_id: named(parts.tenant_id)?,
            client_id: named(parts.client_id)?,
            client_secret: secret(row, parts, lock)?,
        },
        "federated" => AzureIdentity::Federated {
            tenant_id: named(parts.tenant_id)?,
            client_id: named(parts.client_id)?,
        },
        "managed_identity" => AzureIdentity::ManagedIdentity {
            client_id: parts.client_id.map(str::to_owned),
        },
        other => return Err(corrupt(format!("`{other}` is not a kind of identity"))),
    })
}

/// The secret of a row that has one, opened where the key ring can.
fn secret(
    row: &Row,
    parts: &Parts<'_>,
    (owner, keyring): (&DestinationOwner, Option<&KeyRing>),
) -> Result<Secret, Failure> {
    let (key_id, sealed): (&str, &[u8]) = (get(row, "secret_key_id")?, get(row, "secret_sealed")?);
    let context = parts.context(owner, get(row, "secret_id")?);
    Ok(keyring
        .and_then(|ring| ring.open(key_id, sealed, &context))
        .map_or_else(|| Secret::locked(key_id), Secret::new))
}

/// What says where a secret is sent, and as what.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) storage_account: &'a str,
    pub(crate) container: &'a str,
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) identity: &'a str,
    pub(crate) tenant_id: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(azure: &'a AzureContainer) -> Self {
        let (tenant_id, client_id) = match &azure.identity {
            AzureIdentity::ServicePrincipal {
                tenant_id,
                client_id,
                client_secret: _,
            }
            | AzureIdentity::Federated {
                tenant_id,
                client_id,
            } => (Some(tenant_id.as_str()), Some(client_id.as_str())),
            AzureIdentity::ManagedIdentity { client_id } => (None, client_id.as_deref()),
            AzureIdentity::AccessKey { .. } | AzureIdentity::Sas { .. } => (None, None),
        };
        Self {
            storage_account: &azure.storage_account,
            container: &azure.container,
            endpoint: azure.endpoint.as_deref(),
            identity: azure.identity.as_str(),
            tenant_id,
            client_id,
        }
    }

    /// What the secret's cipher is bound to. Whoever can write the database, and no more, can
    /// neither give one owner's secret to another nor have it sent somewhere else.
    ///
    /// SUBTLE: the revision is not in it, since the database assigns it as the row is written;
    /// `secret_id`, random and unique, stands for the row.
    fn context(&self, owner: &DestinationOwner, secret_id: Uuid) -> Vec<u8> {
        let (kind, name) = match owner {
            DestinationOwner::Account(account) => ("account", account.as_str()),
            DestinationOwner::Default => ("default", ""),
        };
        let parts = [
            b"callferry destinations.secret_sealed v1".as_slice(),
            kind.as_bytes(),
            name.as_bytes(),
            secret_id.as_bytes(),
            self.storage_account.as_bytes(),
            self.container.as_bytes(),
            self.endpoint.unwrap_or_default().as_bytes(),
            self.identity.as_bytes(),
            self.tenant_id.unwrap_or_default().as_bytes(),
            self.client_id.unwrap_or_default().as_bytes(),
        ];
        let mut context = Vec::new();
        for part in parts {
            // The lengths make it impossible that two lists of parts read the same.
            let bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
            context.extend_from_slice(&bytes.to_be_bytes());
            context.extend_from_slice(part);
        }
        context
    }

    /// Seals the secret of a new row.
    pub(crate) fn seal(
        &self,
        owner: &DestinationOwner,
        secret: &str,
        keyring: &KeyRing,
    ) -> Result<(Uuid, Sealed), Failure> {
        let secret_id = Uuid::new_v4();
        let sealed = keyring.seal(secret, &self.context(owner, secret_id))?;
        Ok((secret_id, sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_for_the_owner_and_the_place_it_was_set_for() {
        let ring = KeyRing::generate().unwrap();
        let parts = Parts {
            storage_account: "acme",
            container: "calls",
            endpoint: None,
            identity: "sas",
            tenant_id: None,
            client_id: None,
        };
        let owner = DestinationOwner::Account("default".parse().unwrap());
        let (id, sealed) = parts.seal(&owner, "hunter2", &ring).unwrap();
        let opens = |parts: &Parts<'_>, owner: &DestinationOwner, id: Uuid| {
            let context = parts.context(owner, id);
            ring.open(&sealed.key_id, &sealed.bytes, &context).is_some()
        };
        assert!(opens(&parts, &owner, id));
        assert!(!opens(&parts, &DestinationOwner::Default, id));
        assert!(!opens(&parts, &owner, Uuid::new_v4()));
        let moved = [
            Parts {
                storage_account: "acmec",
                container: "alls",
                ..parts
            },
            Parts {
                endpoint: Some("https://evil.test"),
                ..parts
            },
            Parts {
                identity: "access_key",
                ..parts
            },
            Parts {
                tenant_id: Some("t"),
                ..parts
            },
            Parts {
                client_id: Some("t"),
                ..parts
            },
        ];
        for parts in &moved {
            assert!(!opens(parts, &owner, id));
        }
    }
}
