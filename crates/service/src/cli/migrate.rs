//! `callferry migrate`: the ledger's schema, and the marker by which staging is recognised.
//!
//! **Order of effects.** Schema, then marker. The marker says "this is the staging, mounted"; a
//! marker in the wrong folder or bucket would make every original look deleted. So once the ledger
//! knows a recording, a staging without a marker is taken for an unmounted or wrong one, and
//! refused.

use std::fmt::Display;

use anyhow::Result;
use catalog::Catalog;
use clap::Args;
use serde_json::json;
use storage::MarkerFault;
use uuid::Uuid;

use super::Context;
use crate::failure::Failure;
use crate::wiring::{self, StagingSide, admin_failure};

/// Bring the ledger's schema up to date and mark the staging folder or bucket as its own. Repeating
/// changes nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry migrate
  callferry migrate --ledger-only
  callferry migrate --new-staging --json")]
pub(crate) struct MigrateArgs {
    /// Only the schema, where staging is not to be had; the marker must be written once elsewhere
    #[arg(long, conflicts_with = "new_staging")]
    ledger_only: bool,
    /// The staging folder or bucket is a new one: mark it although the ledger knows recordings
    /// already
    #[arg(long)]
    new_staging: bool,
}

pub(super) async fn execute(args: MigrateArgs, context: &Context) -> Result<()> {
    let (clock, meter) = (wiring::clock(), wiring::no_meter());
    let config = &context.config;
    let staging = if args.ledger_only {
        None
    } else {
        let stores = || Ok(wiring::buckets(config, &clock, &meter)?.stores);
        Some(wiring::staging(config, stores)?)
    };
    let ledger = wiring::catalog(config, &clock, &meter)?;
    let applied = ledger.migrate().await.map_err(admin_failure)?;
    let staging_id = ledger.staging_id().await.map_err(admin_failure)?;
    if let Some(staging) = &staging {
        mark(staging, staging_id, args.new_staging, &ledger).await?;
    }
    let shown = staging.as_ref().map(ToString::to_string);
    let answer = json!({ "applied": applied, "staging_id": staging_id, "staging": shown });
    context.output.answer(&answer, |_| {
        let schema = match applied.as_slice() {
            [] => "The schema was up to date.".to_owned(),
            some => format!("Applied {}.", some.join(", ")),
        };
        match &shown {
            None => format!("{schema} Staging was not looked at."),
            Some(staging) => format!("{schema} {staging} is marked as the staging."),
        }
    })
}

async fn mark(
    staging: &StagingSide,
    staging_id: Uuid,
    is_new: bool,
    ledger: &Catalog,
) -> Result<()> {
    let refuse =
        |fault: &dyn Display, hint: &str| Failure::failed(format!("{staging}: {fault}")).hint(hint);
    let (reach, again) = match staging {
        StagingSide::Folder(_) => (
            "make and mount the staging folder first; the schema is up to date already",
            "mount it; only if this folder is a new one, repeat with --new-staging",
        ),
        StagingSide::Bucket(_) => (
            "make the bucket first, and allow our identity to read, list and put there, under a \
             KMS key also kms:GenerateDataKey and kms:Decrypt: see deploy/README.md; the schema is \
             up to date already",
            "see that the bucket and its prefix are the right ones; only if this is a new staging, \
             repeat with --new-staging",
        ),
    };
    let found = staging.read_marker().await;
    let found = found.map_err(|fault| refuse(&fault, reach))?;
    if found.is_none() && !is_new {
        let known = ledger.status().await.map_err(admin_failure)?;
        if known.recordings.values().any(|count| *count > 0) {
            let why = match staging {
                StagingSide::Folder(_) => {
                    "no staging marker, although the ledger knows recordings: is it mounted?"
                }
                StagingSide::Bucket(_) => {
                    "no staging marker, although the ledger knows recordings: is it the right one?"
                }
            };
            return Err(refuse(&why, again).into());
        }
    }
    staging.write_marker(staging_id).await.map_err(|fault| {
        let hint = match &fault {
            MarkerFault::OtherStaging(_) | MarkerFault::Malformed => {
                "another installation's staging is never taken over: see CALLFERRY_STAGING_URL"
            }
            MarkerFault::Staging(_) => reach,
        };
        refuse(&fault, hint).into()
    })
}
