//! The independent check: every object, fetched by `curl` (from Azurite with the storage account's
//! key, which callferry never signs with) and hashed, against what the recorder wrote; and staging
//! against what must stay there, and why.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use callferry_tests::platform::Platform;

use crate::audio::Staged;
use crate::bad::Oddity;
use crate::{ACCOUNTS, Place, find};

/// What the check found for one account.
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) bucket: String,
    pub(crate) staged: usize,
    pub(crate) identical: usize,
    pub(crate) bytes: u64,
}

/// What the check found.
pub(crate) struct Verdict {
    pub(crate) accounts: Vec<Account>,
    /// What differs from what it must be; empty is good.
    pub(crate) differences: Vec<String>,
}

impl Verdict {
    pub(crate) fn judge(&self) -> Result<()> {
        ensure!(
            self.differences.is_empty(),
            "differences:\n  {}",
            self.differences.join("\n  ")
        );
        Ok(())
    }
}

pub(crate) async fn independently(
    platform: &Platform,
    staged: &[Staged],
    oddities: &[Oddity],
) -> Result<Verdict> {
    let mut differences = Vec::new();
    let mut accounts = Vec::new();
    for (name, _, place) in ACCOUNTS {
        let owner = if place == Place::Default {
            "default"
        } else {
            name
        };
        let bucket = Platform::bucket(owner);
        let objects = match place {
            Place::Bucket | Place::Default => platform.auditor().fetch(&bucket).await?,
            Place::Container(_) => platform.azure_objects(&bucket).await?,
        };
        let mine = staged.iter().filter(|one| one.account == name).count();
        let mut account = Account {
            name,
            bucket,
            staged: mine,
            identical: 0,
            bytes: 0,
        };
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for (key, found) in objects {
            let id = recording_id(&key);
            if let Some(twin) = seen.insert(id.clone(), key.clone()) {
                differences.push(format!("two objects for {name}/{id}: {twin} and {key}"));
            }
            match find(staged, name, &id) {
                Some(one) if one.sha256 == found.sha256 && one.size_bytes == found.size_bytes => {
                    account.identical += 1;
                    account.bytes += found.size_bytes;
                }
                Some(_) => differences.push(format!("{key} differs from what was staged")),
                None if id == "reused" && found.size_bytes == 29 => {}
                None => differences.push(format!("{key} was never staged for {name}")),
            }
        }
        if account.identical != mine {
            let missing = format!("{name}: {} of {mine} arrived", account.identical);
            differences.push(missing);
        }
        accounts.push(account);
    }
    staging(platform, oddities, &mut differences)?;
    Ok(Verdict {
        accounts,
        differences,
    })
}

fn recording_id(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .map_or(name, |(stem, _)| stem)
        .to_owned()
}

fn staging(platform: &Platform, oddities: &[Oddity], differences: &mut Vec<String>) -> Result<()> {
    let found = platform.staged_files()?;
    let mut must: Vec<&String> = oddities.iter().flat_map(|oddity| &oddity.stays).collect();
    must.sort();
    for file in &found {
        if !must.contains(&file) {
            differences.push(format!("staging still holds {file}"));
        }
    }
    for file in must {
        if !found.contains(file) {
            differences.push(format!("staging lost {file}, which must stay"));
        }
    }
    Ok(())
}
