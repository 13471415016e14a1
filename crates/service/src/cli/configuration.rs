//! `callferry config`.

use anyhow::{Context as _, Result};
use clap::Args;

use super::Context;

/// Print the effective configuration: file, environment and defaults together. Passwords are
/// never shown
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry config
  callferry config --json --config /etc/callferry/callferry.toml")]
pub(crate) struct ConfigArgs {}

pub(super) fn execute(ConfigArgs {}: ConfigArgs, context: &Context) -> Result<()> {
    let shown = context.config.shown();
    // TOML has no word for "not set": such keys are left out of the readable form.
    let mut set = shown.clone();
    if let Some(keys) = set.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    let text = toml::to_string(&set).context("writing the configuration")?;
    context.output.answer(&shown, |_| text)
}
