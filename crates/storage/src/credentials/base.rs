//! Our own AWS identity: what signs AssumeRole, and what writes to the platform's own bucket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_credential_types::provider::ProvideCredentials;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use recording::{Clock, Fault, ParkReason};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::session::{Issued, Source};

/// Credentials without an end are asked for again this often: a file or variable may change.
const REREAD: Duration = Duration::from_secs(900);
/// Metadata services and web identity included.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where our own identity comes from.
#[derive(Debug, Clone, Default)]
pub enum BaseIdentity {
    /// The standard AWS chain: environment, profile, web identity, container, instance.
    #[default]
    Chain,
    /// A key pair, for laboratories.
    Fixed {
        /// The access key's id.
        access_key_id: String,
        /// Its secret.
        secret_access_key: SecretString,
    },
}

impl BaseIdentity {
    /// A key pair.
    #[must_use]
    pub fn fixed(access_key_id: &str, secret_access_key: &str) -> Self {
        Self::Fixed {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.into(),
        }
    }
}

/// The base identity as a source of credentials.
#[derive(Debug)]
pub(crate) struct Base {
    identity: BaseIdentity,
    clock: Arc<dyn Clock>,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl Base {
    pub(crate) fn new(identity: BaseIdentity, clock: Arc<dyn Clock>) -> Self {
        Self {
            identity,
            clock,
            chain: OnceCell::new(),
        }
    }

    async fn by_chain(&self) -> Result<Issued, Fault> {
        let chain = self.chain.get_or_init(chain).await;
        let asked_at = self.clock.boot();
        let found = tokio::time::timeout(PATIENCE, chain.provide_credentials()).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(nowhere(&error.to_string())),
            Err(_) => return Err(nowhere("no answer in time")),
        };
        let life = found.expiry().map(|end| {
            let end: DateTime<Utc> = end.into();
            let left = end.signed_duration_since(self.clock.now());
            left.to_std().unwrap_or_default()
        });
        let credential = AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(ToOwned::to_owned),
        };
        Ok(match life {
            Some(life) => Issued::new(credential, asked_at, life),
            None => Issued::without_end(credential, asked_at, REREAD),
        })
    }
}

/// The region matters to web identity only, and is not worth asking the metadata service for.
async fn chain() -> DefaultCredentialsChain {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else("us-east-1");
    DefaultCredentialsChain::builder()
        .region(region)
        .build()
        .await
}

/// Nobody's fault but ours, and of all destinations at once; it passes when it is repaired.
fn nowhere(why: &str) -> Fault {
    let detail = format!("our own AWS identity cannot be had: {why}");
    Fault::new(ParkReason::DestinationUnreachable, detail)
}

#[async_trait]
impl Source for Base {
    async fn issue(&self) -> Result<Issued, Fault> {
        match &self.identity {
            BaseIdentity::Chain => self.by_chain().await,
            BaseIdentity::Fixed {
                access_key_id,
                secret_access_key,
            } => {
                let credential = AwsCredential {
                    key_id: access_key_id.clone(),
                    secret_key: secret_access_key.expose_secret().to_owned(),
                    token: None,
                };
                let asked_at = self.clock.boot();
                Ok(Issued::without_end(credential, asked_at, REREAD))
            }
        }
    }
}
