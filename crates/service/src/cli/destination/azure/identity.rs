//! Who we are to a storage account: which of the identities is meant, and what belongs to it.

use anyhow::Result;
use chrono::{DateTime, Utc};
use recording::{AzureIdentity, Secret};

use super::secret_file::SecretSource;
use super::{AzureArgs, sas, secret_file, words};
use crate::failure::Failure;

/// The ways to say who we are to a storage account, for people.
const IDENTITIES: &str = "one of: --tenant-id with --client-id and --client-secret-file (a service \
                          principal) or --federated (one that trusts our workload; no secret); \
                          --managed-identity, with --client-id where the machine has several; \
                          --sas-token-file; --access-key-file";

/// What was said about who we are, before any secret is read.
pub(super) enum Wish<'a> {
    Principal {
        tenant_id: &'a str,
        client_id: &'a str,
        secret: &'a SecretSource,
    },
    Federated {
        tenant_id: &'a str,
        client_id: &'a str,
    },
    Managed {
        client_id: Option<&'a str>,
    },
    Sas(&'a SecretSource),
    AccessKey(&'a SecretSource),
}

/// A flag, and whether it was said.
type Flag = (&'static str, bool);

fn refuse(why: String) -> anyhow::Error {
    Failure::usage(why).hint(IDENTITIES).into()
}

/// What is missing of an identity that needs all of these.
fn missing(flags: &[Flag]) -> anyhow::Error {
    let missing = flags.iter().filter(|(_, said)| !said);
    let missing: Vec<_> = missing.map(|(flag, _)| *flag).collect();
    refuse(format!("{} missing", missing.join(" and ")))
}

impl<'a> Wish<'a> {
    /// Which identity is meant; each flag belongs to one, but for those that name an application.
    pub(super) fn of(args: &'a AzureArgs) -> Result<Self> {
        let tenant = ("--tenant-id", args.tenant_id.is_some());
        let client = ("--client-id", args.client_id.is_some());
        let secret = ("--client-secret-file", args.client_secret_file.is_some());
        let kinds = [
            secret,
            ("--federated", args.federated),
            ("--managed-identity", args.managed_identity),
            ("--sas-token-file", args.sas_token_file.is_some()),
            ("--access-key-file", args.access_key_file.is_some()),
        ];
        let said = |flags: &[Flag]| -> Vec<&'static str> {
            let said = flags.iter().filter(|(_, said)| *said);
            said.map(|(flag, _)| *flag).collect()
        };
        // Which words may be beside each kind.
        let named = match said(&kinds).as_slice() {
            [] if said(&[tenant, client]).is_empty() => {
                return Err(refuse(
                    "who we are to the storage account is not said".to_owned(),
                ));
            }
            [] => return Err(missing(&[tenant, client, secret])),
            ["--client-secret-file" | "--federated"] => vec![],
            ["--managed-identity"] => said(&[tenant]),
            [_] => said(&[tenant, client]),
            [..] => vec![],
        };
        let others = [named, said(&kinds)].concat();
        if let [_, _, ..] = others.as_slice() {
            let others = others.join(" and ");
            return Err(refuse(format!("{others} belong to different identities")));
        }
        let application = args.tenant_id.as_deref().zip(args.client_id.as_deref());
        if let Some((tenant, _)) = application {
            words::tenant(tenant)?;
        }
        args.client_id.as_deref().map_or(Ok(()), words::client)?;
        match (application, &args.client_secret_file) {
            (Some((tenant_id, client_id)), Some(secret)) => Ok(Self::Principal {
                tenant_id,
                client_id,
                secret,
            }),
            (None, Some(_)) => Err(missing(&[tenant, client, secret])),
            (Some((tenant_id, client_id)), None) => Ok(Self::Federated {
                tenant_id,
                client_id,
            }),
            (None, None) if args.federated => Err(missing(&[tenant, client])),
            (None, None) => match (&args.sas_token_file, &args.access_key_file) {
                (Some(file), _) => Ok(Self::Sas(file)),
                (None, Some(file)) => Ok(Self::AccessKey(file)),
                (None, None) => Ok(Self::Managed {
                    client_id: args.client_id.as_deref(),
                }),
            },
        }
    }

    /// Whether there is a secret to keep.
    pub(super) fn has_secret(&self) -> bool {
        match self {
            Self::Principal { .. } | Self::Sas(_) | Self::AccessKey(_) => true,
            Self::Federated { .. } | Self::Managed { .. } => false,
        }
    }

    /// The identity, with its secret where it has one.
    pub(super) fn read(&self, now: DateTime<Utc>) -> Result<AzureIdentity> {
        match self {
            Self::Principal {
                tenant_id,
                client_id,
                secret,
            } => Ok(AzureIdentity::ServicePrincipal {
                tenant_id: (*tenant_id).to_owned(),
                client_id: (*client_id).to_owned(),
                client_secret: secret_file::read_source("--client-secret-file", secret)?.into(),
            }),
            Self::Federated {
                tenant_id,
                client_id,
            } => Ok(AzureIdentity::Federated {
                tenant_id: (*tenant_id).to_owned(),
                client_id: (*client_id).to_owned(),
            }),
            Self::Managed { client_id } => Ok(AzureIdentity::ManagedIdentity {
                client_id: client_id.map(ToOwned::to_owned),
            }),
            Self::Sas(file) => {
                let text = secret_file::read_source("--sas-token-file", file)?;
                let token = sas::check(text.as_str(), now)?;
                Ok(AzureIdentity::Sas {
                    sas_token: Secret::new(token.to_owned()),
                })
            }
            Self::AccessKey(file) => {
                let text = secret_file::read_source("--access-key-file", file)?;
                words::access_key(text.as_str())?;
                Ok(AzureIdentity::AccessKey {
                    access_key: text.into(),
                })
            }
        }
    }
}
