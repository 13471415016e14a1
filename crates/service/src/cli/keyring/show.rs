//! `callferry keyring show`: which keys there are, and what lies under each.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog::{KeyRing, SecretsUnderKey, key_made_at};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::super::Context;
use super::configured;
use crate::wiring::admin_failure;

/// `keyring show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {}

/// A key, in the ring or only named by rows.
#[derive(Debug, Serialize)]
struct KeyView {
    key_id: String,
    /// When it was made; null where its id does not say.
    created_at: Option<DateTime<Utc>>,
    /// `current`, `older`, `prepared` or `missing`.
    standing: &'static str,
    /// Secrets under it.
    secrets: u64,
    /// Those that a rotation gives a data key.
    without_data_key: u64,
}

/// What a key is to the ring.
fn standing(ring: &KeyRing, key_id: &str) -> &'static str {
    let current = ring.current_id();
    if key_id == current {
        return "current";
    }
    if !ring.ids().any(|id| id == key_id) {
        return "missing";
    }
    // None is before every moment: the first release's ids do not say when they were made.
    if key_made_at(key_id) > key_made_at(&current) {
        "prepared"
    } else {
        "older"
    }
}

fn views(ring: &KeyRing, used: Vec<SecretsUnderKey>) -> Vec<KeyView> {
    let mut under: BTreeMap<String, (u64, u64)> = ring.ids().map(|id| (id, (0, 0))).collect();
    for key in used {
        under.insert(key.key_id, (key.secrets, key.without_data_key));
    }
    let views = under
        .into_iter()
        .map(|(key_id, (secrets, without_data_key))| KeyView {
            created_at: key_made_at(&key_id),
            standing: standing(ring, &key_id),
            secrets,
            without_data_key,
            key_id,
        });
    views.collect()
}

pub(super) async fn execute(context: &Context) -> Result<()> {
    let ring = KeyRing::load(configured(context)?).map_err(admin_failure)?;
    let ledger = context.ledger().await?;
    let used = ledger.secrets_by_key().await.map_err(admin_failure)?;
    let columns = [
        "key_id",
        "created_at",
        "standing",
        "secrets",
        "without_data_key",
    ];
    context
        .output
        .list(&views(&ring, used), &columns, "No keys.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_rows_name_and_the_ring_lacks_is_shown_as_missing() {
        let ring = KeyRing::generate().unwrap();
        let used = SecretsUnderKey {
            key_id: "k-lost".to_owned(),
            secrets: 3,
            without_data_key: 1,
        };
        let views = views(&ring, vec![used]);
        let lost = views.iter().find(|view| view.key_id == "k-lost").unwrap();
        assert_eq!((lost.standing, lost.secrets), ("missing", 3));
        let own = views.iter().find(|view| view.standing == "current");
        assert_eq!(own.map(|view| view.secrets), Some(0));
    }
}
