//! A load of recordings and the oracles that judge what became of it. Everything is compared with
//! what was staged here, never with what the service says of itself.

mod witness;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::patience;
use crate::platform::Platform;

pub use witness::Witness;

/// Below each account's folder.
const FOLDER: &str = "2026/11/23";

/// What to stage.
#[derive(Clone, Debug)]
pub struct Load {
    /// Accounts, which take turns.
    pub accounts: Vec<String>,
    /// Recordings over all accounts.
    pub recordings: usize,
    /// Size of each.
    pub size_bytes: usize,
    /// Seed of the contents: every recording has bytes of its own.
    pub seed: u64,
}

/// What the recorder knows of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Size.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// Account and recording id.
pub type Id = (String, String);

/// What was staged.
pub type Produce = BTreeMap<Id, Produced>;

impl Load {
    /// Writes the originals.
    ///
    /// # Errors
    /// When staging cannot be written.
    pub fn stage(&self, platform: &Platform) -> Result<Produce> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut produce = Produce::new();
        let mut bytes = vec![0; self.size_bytes];
        for number in 0..self.recordings {
            let turn = number % self.accounts.len().max(1);
            let account = self.accounts.get(turn).context("a load needs an account")?;
            let id = format!("rec-{:x}-{number:05}", self.seed);
            random.fill_bytes(&mut bytes);
            let folder = platform.staging.join(account).join(FOLDER);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{id}.wav")), &bytes)?;
            let sha256 = hex::encode(Sha256::digest(&bytes));
            let produced = Produced {
                size_bytes: u64::try_from(bytes.len())?,
                sha256,
            };
            produce.insert((account.clone(), id), produced);
        }
        Ok(produce)
    }

    /// Publishes an event for everything staged, with the command line.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn publish(&self, platform: &Platform) -> Result<()> {
        for account in &self.accounts {
            let folder = platform.staging.join(account).join(FOLDER);
            let folder = folder.to_str().context("the staging path is not UTF-8")?;
            let args = [
                "publish",
                "--account",
                account,
                "--media-type",
                "audio/wav",
                folder,
            ];
            platform.fleet.run(&args).await?.success()?;
        }
        Ok(())
    }
}

/// How many recordings the ledger has in each state.
///
/// # Errors
/// When `callferry status` refuses.
pub async fn states(platform: &Platform) -> Result<BTreeMap<String, u64>> {
    let status = platform.json(&["status"]).await?;
    let states = status
        .get("recordings")
        .and_then(serde_json::Value::as_object)
        .context("status has no `recordings`")?;
    Ok(states
        .iter()
        .map(|(state, n)| (state.clone(), n.as_u64().unwrap_or(0)))
        .collect())
}

/// Waits until as many recordings are released, and says how long that took.
///
/// # Errors
/// When it takes longer than `limit`; the states are in the error.
pub async fn until_released(platform: &Platform, n: u64, limit: Duration) -> Result<Duration> {
    let began = Instant::now();
    let mut last = BTreeMap::new();
    let waited = patience::until("all are released", limit, async || {
        last = states(platform).await?;
        if last.get("released").copied().unwrap_or(0) >= n {
            return Ok(Some(()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(None)
    });
    waited.await.with_context(|| format!("{n} were expected"))?;
    Ok(began.elapsed())
}

/// Judges the outcome of loads that were all good, and returns what differs.
///
/// Every object must be byte-identical by an independent client, one for each recording, in its
/// own account's bucket; staging empty; an acknowledgment with the right digest for each.
///
/// # Errors
/// When something cannot be looked at.
pub async fn differences(
    platform: &Platform,
    produce: &Produce,
    witness: Option<&Witness>,
) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let mut seen = BTreeMap::new();
    let mut accounts: Vec<&str> = produce
        .keys()
        .map(|(account, _)| account.as_str())
        .collect();
    accounts.dedup();
    for account in accounts {
        for (key, found) in platform.auditor().fetch(&Platform::bucket(account)).await? {
            let name = key.rsplit('/').next().unwrap_or_default();
            let id = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let id = (account.to_owned(), id.to_owned());
            match produce.get(&id) {
                None => differences.push(format!("{account}: {key} was never staged for it")),
                Some(one) if one.sha256 != found.sha256 => {
                    differences.push(format!("{account}: {key} is not what was staged"));
                }
                Some(_) => {}
            }
            if let Some(twin) = seen.insert(id, key.clone()) {
                differences.push(format!("{account}: two objects, {twin} and {key}"));
            }
        }
    }
    for id in produce.keys().filter(|id| !seen.contains_key(id)) {
        differences.push(format!("{}/{} never arrived", id.0, id.1));
    }
    for file in platform.staged_files()? {
        differences.push(format!("staging still holds {file}"));
    }
    if let Some(witness) = witness {
        differences.extend(witness.differences(platform, produce).await?);
    }
    Ok(differences)
}
