//! `callferry keyring rotate`: a new key, and every secret under it.
//!
//! **Order of effects.** The file first, then the rows: whoever meets a row under the new key finds
//! the key in the file. **Crashes.** A new key without rows does no harm; what was re-wrapped stays
//! so, and `--resume` goes on.

use std::io::IsTerminal;

use anyhow::Result;
use catalog::{Catalog, KeyRing, KeyRingFile, Turned, Unopened};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::super::Context;
use super::configured;
use crate::failure::Failure;
use crate::wiring::{self, admin_failure};

/// Revisions that an error names; the answer has all.
const NAMED: usize = 10;

/// `keyring rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Only add a new key that is not used yet, to be handed out to processes that see copies of
    /// the file; the next `rotate` makes it current
    #[arg(long, conflicts_with = "resume")]
    prepare: bool,
    /// No new key: bring every secret under the current one, after a rotation that was broken off
    #[arg(long)]
    resume: bool,
}

/// What a rotation did.
#[derive(Debug, Serialize)]
struct Answer {
    /// The key that is current now.
    key_id: String,
    /// The one before; null where none was made current.
    previous: Option<String>,
    /// Secrets that are under it now and were not before.
    rewrapped: u64,
    /// Secrets that this ring does not open.
    unopened: Vec<Unopened>,
    /// Keys of the ring that no secret is under any more.
    retirable: Vec<String>,
    /// Keys besides the current one that secrets are still under.
    still_needed: Vec<String>,
}

pub(super) async fn execute(args: &RotateArgs, context: &Context) -> Result<()> {
    let file = KeyRingFile::lock(configured(context)?).map_err(admin_failure)?;
    if args.prepare {
        return prepare(&file, context);
    }
    // Before the file is touched: a ledger that does not answer leaves everything as it was.
    let ledger = context.ledger().await?;
    let turned = if args.resume {
        None
    } else {
        let turned = file.turn(wiring::clock().now());
        Some(turned.map_err(admin_failure)?)
    };
    let ring = file.ring().map_err(admin_failure)?;
    let done = rewrap(&ledger, &ring).await;
    let (rewrapped, unopened) = done.map_err(|error| broken_off(&error, &ring))?;
    let answer = answer(&ledger, &ring, turned, (rewrapped, unopened)).await?;
    context.output.answer(&answer, told)?;
    refuse_unopened(&answer)
}

fn prepare(file: &KeyRingFile, context: &Context) -> Result<()> {
    let prepared = file.prepare(wiring::clock().now()).map_err(admin_failure)?;
    let ring = file.ring().map_err(admin_failure)?;
    let answer = json!({ "prepared": prepared, "key_id": ring.current_id() });
    context.output.answer(&answer, |_| {
        format!(
            "{prepared} is in the key ring and not used yet. Hand the file out to every process, \
             then run `callferry keyring rotate`."
        )
    })
}

async fn rewrap(ledger: &Catalog, ring: &KeyRing) -> Result<(u64, Vec<Unopened>)> {
    let left = ledger.secrets_left(&ring.current_id()).await;
    let bar = bar(left.map_err(admin_failure)?);
    let (mut rewrapped, mut unopened, mut after) = (0_u64, Vec::new(), 0);
    loop {
        let batch = ledger.rewrap(ring, after).await.map_err(admin_failure)?;
        rewrapped = rewrapped.saturating_add(batch.rewrapped);
        let failed = u64::try_from(batch.unopened.len()).unwrap_or(u64::MAX);
        bar.inc(batch.rewrapped.saturating_add(failed));
        unopened.extend(batch.unopened);
        match batch.last {
            Some(last) => after = last,
            None => break,
        }
    }
    bar.finish_and_clear();
    Ok((rewrapped, unopened))
}

async fn answer(
    ledger: &Catalog,
    ring: &KeyRing,
    turned: Option<Turned>,
    (rewrapped, unopened): (u64, Vec<Unopened>),
) -> Result<Answer> {
    let used = ledger.secrets_by_key().await.map_err(admin_failure)?;
    let key_id = ring.current_id();
    let is_used = |id: &String| used.iter().any(|key| key.key_id == *id);
    let retirable = ring.ids().filter(|id| *id != key_id && !is_used(id));
    let needed = used.iter().map(|key| key.key_id.clone());
    Ok(Answer {
        previous: turned.map(|turned| turned.previous),
        rewrapped,
        unopened,
        retirable: retirable.collect(),
        still_needed: needed.filter(|id| *id != key_id).collect(),
        key_id,
    })
}

fn told(answer: &Answer) -> String {
    let key_id = &answer.key_id;
    let mut text = match &answer.previous {
        Some(previous) => format!("{key_id} is the current key now, after {previous}. "),
        None => format!("{key_id} is the current key. "),
    };
    text.push_str(&match answer.rewrapped {
        0 => "No secret had to be brought under it.".to_owned(),
        1 => "1 secret was brought under it.".to_owned(),
        many => format!("{many} secrets were brought under it."),
    });
    for id in &answer.retirable {
        text.push_str(&format!(
            "\nNo secret is under {id} any more: `callferry keyring retire {id}` takes it out."
        ));
    }
    for id in &answer.still_needed {
        text.push_str(&format!("\nSecrets are still under {id}."));
    }
    text
}

fn refuse_unopened(answer: &Answer) -> Result<()> {
    if answer.unopened.is_empty() {
        return Ok(());
    }
    let named = answer.unopened.iter().take(NAMED);
    let named = named.map(|it| format!("revision {} of {} ({})", it.revision, it.owner, it.key_id));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if answer.unopened.len() > NAMED {
        named.push_str(", …");
    }
    let count = answer.unopened.len();
    Err(Failure::failed(format!(
        "{count} secrets cannot be opened with this key ring: {named}"
    ))
    .hint(
        "put the missing key back into the ring and run `callferry keyring rotate \
                 --resume`, or set those destinations anew",
    )
    .into())
}

/// The ledger failed half-way; what to do is the same whatever it was.
fn broken_off(error: &anyhow::Error, ring: &KeyRing) -> anyhow::Error {
    let current = ring.current_id();
    let why = format!("the rotation to {current} was broken off: {error:#}");
    Failure::failed(why)
        .hint("nothing is lost and every key is kept: `callferry keyring rotate --resume` goes on")
        .into()
}

/// A progress bar for a person at a terminal, on standard error.
fn bar(length: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} secrets, {eta} left");
    let bar = ProgressBar::with_draw_target(Some(length), target);
    // The template is a constant; without it the bar only looks plainer.
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
