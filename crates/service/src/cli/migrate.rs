//! `callferry migrate`: the ledger's schema, and the marker by which staging is recognised.
//!
//! **Order of effects.** Schema, then marker. The marker says "this is the staging, mounted"; a
//! marker in the wrong folder would make every original look deleted. So once the ledger knows a
//! recording, a folder without a marker is taken for an unmounted one and refused.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use catalog::Catalog;
use clap::Args;
use serde_json::json;
use storage::MarkerFault;
use uuid::Uuid;

use super::Context;
use crate::failure::Failure;
use crate::wiring::{self, admin_failure};

/// Bring the ledger's schema up to date and mark the staging folder as its own. Repeating changes
/// nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry migrate
  callferry migrate --ledger-only
  callferry migrate --new-staging --json")]
pub(crate) struct MigrateArgs {
    /// Only the schema, where staging is not mounted; the marker must be written once elsewhere
    #[arg(long, conflicts_with = "new_staging")]
    ledger_only: bool,
    /// The staging folder is a new one: mark it although the ledger knows recordings already
    #[arg(long)]
    new_staging: bool,
}

pub(super) async fn execute(args: MigrateArgs, context: &Context) -> Result<()> {
    let root = if args.ledger_only {
        None
    } else {
        Some(context.config.staging_root()?)
    };
    let ledger = wiring::catalog(&context.config, &wiring::clock(), &wiring::no_meter())?;
    let applied = ledger.migrate().await.map_err(admin_failure)?;
    let staging_id = ledger.staging_id().await.map_err(admin_failure)?;
    if let Some(root) = &root {
        mark(root, staging_id, args.new_staging, &ledger).await?;
    }
    let answer = json!({ "applied": applied, "staging_id": staging_id, "staging": root });
    context.output.answer(&answer, |_| {
        let schema = match applied.as_slice() {
            [] => "The schema was up to date.".to_owned(),
            some => format!("Applied {}.", some.join(", ")),
        };
        match &root {
            None => format!("{schema} Staging was not looked at."),
            Some(root) => format!("{schema} {} is marked as the staging.", root.display()),
        }
    })
}

async fn mark(root: &Path, staging_id: Uuid, is_new: bool, ledger: &Catalog) -> Result<()> {
    let refuse = |fault: &dyn Display, hint: &str| {
        Failure::failed(format!("{}: {fault}", root.display())).hint(hint)
    };
    let mount = "make and mount the staging folder first; the schema is up to date already";
    let found = storage::read_marker(root).map_err(|fault| refuse(&fault, mount))?;
    if found.is_none() && !is_new {
        let known = ledger.status().await.map_err(admin_failure)?;
        if known.recordings.values().any(|count| *count > 0) {
            let why = "no staging marker, although the ledger knows recordings: is it mounted?";
            let hint = "mount it; only if this folder is a new one, repeat with --new-staging";
            return Err(refuse(&why, hint).into());
        }
    }
    storage::write_marker(root, staging_id).map_err(|fault| {
        let hint = match &fault {
            MarkerFault::OtherStaging(_) | MarkerFault::Malformed => {
                "another installation's folder is never taken over: see CALLFERRY_STAGING_URL"
            }
            MarkerFault::Staging(_) => mount,
        };
        refuse(&fault, hint).into()
    })
}
