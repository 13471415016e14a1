//! `callferry topology`: our exchange, queues and bindings at the broker. Workers never declare
//! them; this does.

use anyhow::Result;
use broker::topology::{self, Condition, Report};
use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::wiring;

/// What can be done with the topology.
#[derive(Debug, Subcommand)]
pub(crate) enum TopologyCommand {
    /// Declare the exchange, the queues and the bindings; repeating changes nothing
    #[command(after_help = "\
Examples:
  callferry topology apply
  callferry topology apply --json")]
    Apply,
    /// Say whether everything is as `apply` makes it; fails if not
    #[command(after_help = "\
Examples:
  callferry topology check
  callferry topology check --json

With CALLFERRY_AMQP_MANAGEMENT_URL set, bindings and arguments are checked as well.")]
    Check,
    /// Print it as RabbitMQ definitions, for an operator who imports them
    #[command(after_help = "\
Examples:
  callferry topology export > callferry-definitions.json")]
    Export,
}

pub(super) async fn execute(command: TopologyCommand, context: &Context) -> Result<()> {
    match command {
        TopologyCommand::Apply => apply(context).await,
        TopologyCommand::Check => check(context).await,
        TopologyCommand::Export => export(context),
    }
}

async fn apply(context: &Context) -> Result<()> {
    let settings = wiring::broker(&context.config, &wiring::clock())?;
    topology::apply(&settings)
        .await
        .map_err(wiring::broker_failure)?;
    let queues: Vec<_> = recording::Queue::ALL.iter().map(|q| q.name()).collect();
    let answer = json!({ "applied": true, "exchange": topology::EXCHANGE, "queues": queues,
                         "vhost": settings.url.vhost() });
    context.output.answer(&answer, |_| {
        format!(
            "Declared in virtual host {}: exchange {}, queues {}.",
            settings.url.vhost(),
            topology::EXCHANGE,
            queues.join(", ")
        )
    })
}

async fn check(context: &Context) -> Result<()> {
    let settings = wiring::broker(&context.config, &wiring::clock())?;
    let report = topology::check(&settings)
        .await
        .map_err(wiring::broker_failure)?;
    let answer = json!({ "sound": report.is_sound(), "findings": report.findings });
    context.output.answer(&answer, |_| readable(&report))?;
    if report.is_sound() {
        return Ok(());
    }
    let faults = report.faults().count();
    Err(Failure::failed(format!(
        "{faults} parts of the topology are not as declared"
    ))
    .hint("callferry topology apply; what is there with other arguments must be deleted first")
    .into())
}

fn readable(report: &Report) -> String {
    let line = |finding: &topology::Finding| {
        let how = match &finding.condition {
            Condition::Fine => "fine".to_owned(),
            Condition::Missing => "MISSING".to_owned(),
            Condition::Differs(how) => format!("DIFFERS: {how}"),
            Condition::NotChecked(why) => format!("not checked: {why}"),
        };
        format!("{}: {how}\n", finding.what)
    };
    report.findings.iter().map(line).collect()
}

fn export(context: &Context) -> Result<()> {
    // The virtual host is the only thing in it that depends on the configuration.
    let vhost = match &context.config.amqp_url {
        Some(_) => wiring::broker(&context.config, &wiring::clock())?
            .url
            .vhost()
            .to_owned(),
        None => "/".to_owned(),
    };
    let definitions = topology::export(&vhost);
    context
        .output
        .answer(&definitions, |definitions| format!("{definitions:#}"))
}
