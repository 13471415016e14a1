//! A platform whose accounts all have recordings of the same ids, and a process that plays them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fleet::Member;
use crate::issuer::{AUDIENCE, Algorithm, ISSUER, IssuerKey, claims};
use crate::load;
use crate::platform::Platform;
use crate::ports::free_port;

/// Bounds every wait.
const LONG: Duration = Duration::from_secs(240);
/// Longer than any run.
const DAY_S: i64 = 24 * 3600;

/// A process that plays, what it plays, and whose tokens it believes.
pub struct Stage {
    /// The platform.
    pub platform: Platform,
    /// The process.
    pub member: Member,
    /// Where it answers: `host:port`.
    pub address: String,
    /// The issuer's key that it knows.
    pub key: IssuerKey,
    /// A key that it does not know.
    pub stranger: IssuerKey,
    /// The accounts.
    pub accounts: Vec<String>,
    /// The ids that each of them has.
    pub ids: Vec<String>,
    /// The digest of each account's recording.
    pub digests: BTreeMap<(String, String), String>,
}

impl Stage {
    /// Makes so many accounts with so many recordings each, and waits until all are in their
    /// buckets. The platform's servers run already.
    ///
    /// # Errors
    /// When something does not start or arrive.
    pub async fn set(
        mut platform: Platform,
        accounts: usize,
        recordings: usize,
        dir: &std::path::Path,
    ) -> Result<Self> {
        let accounts: Vec<String> = (0..accounts).map(|n| format!("account-{n:03}")).collect();
        let ids: Vec<String> = (0..recordings).map(|n| format!("rec-{n:04}")).collect();
        let mut digests = BTreeMap::new();
        for account in &accounts {
            platform.account(account).await?;
            let folder = platform.staging.join(account);
            fs::create_dir_all(&folder)?;
            for id in &ids {
                let bytes = format!("what {account} said in {id}");
                fs::write(folder.join(format!("{id}.wav")), &bytes)?;
                let digest = hex::encode(Sha256::digest(&bytes));
                digests.insert((account.clone(), id.clone()), digest);
            }
        }
        let mut transfer = platform
            .fleet
            .start_ready("transfer", &["transfer"])
            .await?;
        for account in &accounts {
            let folder = platform.staging.join(account).display().to_string();
            let args = ["publish", "--account", account, "--media-type", "audio/wav"];
            let args = [&args[..], &[&folder]].concat();
            platform.fleet.run(&args).await?.success()?;
        }
        let all = u64::try_from(digests.len())?;
        crate::patience::until("all are stored", LONG, async || {
            let states = load::states(&platform).await?;
            Ok((states.get("stored").copied().unwrap_or(0) >= all).then_some(()))
        })
        .await?;
        transfer.stop(LONG).await?;
        let key = IssuerKey::new(Algorithm::EdDSA)?;
        let stranger = IssuerKey::new(Algorithm::EdDSA)?;
        let (member, address) = start(&platform, &key, dir).await?;
        Ok(Self {
            platform,
            member,
            address,
            key,
            stranger,
            accounts,
            ids,
            digests,
        })
    }

    /// A token of a day.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, account: Option<&str>, scope: &str) -> Result<String> {
        self.signed(&self.key, &self.claims(account, scope))
    }

    /// The claims of a good token of a day.
    #[must_use]
    pub fn claims(&self, account: Option<&str>, scope: &str) -> Value {
        let subject = format!("listener-of-{}", account.unwrap_or("all"));
        let mut claims = claims(&subject, account, scope);
        let ends = claims.get("exp").and_then(Value::as_i64).unwrap_or(0) + DAY_S;
        if let Some(fields) = claims.as_object_mut() {
            fields.insert("exp".to_owned(), json!(ends));
        }
        claims
    }

    /// A token with these claims, whoever signs it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn signed(&self, key: &IssuerKey, claims: &Value) -> Result<String> {
        key.sign(
            Algorithm::EdDSA,
            &json!({"alg": "EdDSA", "typ": "JWT"}),
            claims,
        )
    }
}

async fn start(
    platform: &Platform,
    key: &IssuerKey,
    dir: &std::path::Path,
) -> Result<(Member, String)> {
    let file = dir.join("listening.pem");
    fs::write(&file, key.public_pem())?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let file = file.display().to_string();
    let own = [
        ("CALLFERRY_HTTP_ADDR", address.as_str()),
        ("CALLFERRY_JWT_ISSUER", ISSUER),
        ("CALLFERRY_JWT_AUDIENCE", AUDIENCE),
        ("CALLFERRY_JWT_KEYS", &file),
        ("CALLFERRY_HTTP_SUBJECT_RATE", "1000000"),
        ("CALLFERRY_HTTP_ACCOUNT_RATE", "1000000"),
        // A line for each of a million requests would be most of what is measured.
        ("CALLFERRY_LOG_FILTER", "warn"),
    ];
    let mut member = platform.fleet.start_with("playback", &["playback"], &own)?;
    member.ready(LONG).await.context("playback is not ready")?;
    Ok((member, address))
}
