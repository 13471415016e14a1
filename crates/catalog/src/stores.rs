//! Stores as rows of `destinations`, their secrets sealed.

use recording::{
    AccountId, AzureContainer, AzureIdentity, Destination, DestinationOwner, Encryption,
    ObjectTags, S3Bucket, S3Options, Secret, Store,
};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::failure::{Failure, corrupt};
use crate::keyring::{Binding, Kept, KeyRing, Sealed};
use crate::rows::{get, optional_word};

/// What both ways of reading a destination select of `d`.
macro_rules! common_columns {
    () => {
        "d.revision, d.account_id as destination_account, d.cloud, d.bucket, d.region, d.role_arn,
         d.endpoint, d.prefix, d.kms_key, d.storage_class, d.expected_owner, d.storage_account,
         d.container, d.identity, d.tenant_id, d.client_id, d.secret_id, d.secret_key_id,
         d.secret_wrapped_key, d.secret_sealed, d.account_leads_key, d.external_id, d.sse,
         d.bucket_key, d.tags, d.bucket_owner_full_control, "
    };
}
pub(crate) use common_columns;

/// What a query must select for [`destination`], of a revision as it was set: `d` is a row of
/// `destinations`.
macro_rules! destination_columns {
    () => {
        concat!(
            crate::stores::common_columns!(),
            "credential_of(d.revision) as credential_revision "
        )
    };
}
pub(crate) use destination_columns;

/// The same of a revision as it is reached, with the newest credential for its place: `d` is a
/// row of `reached_destinations`.
macro_rules! reached_columns {
    () => {
        concat!(crate::stores::common_columns!(), "d.credential_revision ")
    };
}
pub(crate) use reached_columns;

/// A revision. Without a key ring its secret stays locked: for whoever only needs to
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
        credential_revision: get(row, "credential_revision")?,
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
    let parts = Parts::of_row(row)?;
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
    let binding = parts.binding(owner, get(row, "secret_id")?);
    let kept = kept(row)?;
    Ok(keyring
        .and_then(|ring| ring.open(kept, &binding))
        .map_or_else(
            || Secret::locked(kept.key_id),
            |text| Secret::new((*text).clone()),
        ))
}

/// The secret of a row that has one, as it lies there.
pub(crate) fn kept(row: &Row) -> Result<Kept<'_>, Failure> {
    Ok(Kept {
        key_id: get(row, "secret_key_id")?,
        wrapped_key: get(row, "secret_wrapped_key")?,
        bytes: get(row, "secret_sealed")?,
    })
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
    /// Those of a row that has a secret.
    pub(crate) fn of_row(row: &'a Row) -> Result<Self, Failure> {
        Ok(Self {
            storage_account: get(row, "storage_account")?,
            container: get(row, "container")?,
            endpoint: get(row, "endpoint")?,
            identity: get(row, "identity")?,
            tenant_id: get(row, "tenant_id")?,
            client_id: get(row, "client_id")?,
        })
    }

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

    /// What the secret of the row with this `secret_id` is bound to.
    pub(crate) fn binding(&self, owner: &DestinationOwner, secret_id: Uuid) -> Binding {
        let parts = [
            self.storage_account,
            self.container,
            self.endpoint.unwrap_or_default(),
            self.identity,
            self.tenant_id.unwrap_or_default(),
            self.client_id.unwrap_or_default(),
        ];
        Binding::new(owner, secret_id, parts)
    }

    /// Seals the secret of a new row.
    pub(crate) fn seal(
        &self,
        owner: &DestinationOwner,
        secret: &str,
        keyring: &KeyRing,
    ) -> Result<(Uuid, Sealed), Failure> {
        let secret_id = Uuid::new_v4();
        let sealed = keyring.seal(secret, &self.binding(owner, secret_id))?;
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
            ring.open(sealed.kept(), &parts.binding(owner, id))
                .is_some()
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
