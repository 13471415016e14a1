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
#[command(after_help = "\
Examples:
  callferry topology apply
  callferry topology check
  callferry topology export > callferry-definitions.json")]
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

With CALLFERRY_AMQP_MANAGEMENT_URL set, bindings and arguments are checked as well; without it the
answer is not complete (`\"complete\": false`).")]
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
    let answer = json!({ "sound": report.is_sound(), "complete": is_complete(&report),
                         "findings": report.findings });
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
    let mut text: String = report.findings.iter().map(line).collect();
    if !is_complete(report) {
        text.push_str(
            "Bindings and arguments were not checked: set CALLFERRY_AMQP_MANAGEMENT_URL.\n",
        );
    }
    text
}

/// Whether everything was looked at.
fn is_complete(report: &Report) -> bool {
    let looked_at = |finding: &topology::Finding| match finding.condition {
        Condition::Fine | Condition::Missing | Condition::Differs(_) => true,
        Condition::NotChecked(_) => false,
    };
    report.findings.iter().all(looked_at)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_looked_at_makes_a_check_incomplete_and_is_said() {
        let finding = |condition| topology::Finding {
            what: "binding".to_owned(),
            condition,
        };
        let mut report = Report {
            findings: vec![finding(Condition::Fine)],
        };
        assert!(is_complete(&report));
        assert_eq!(readable(&report), "binding: fine\n");
        let unseen = Condition::NotChecked("needs more".to_owned());
        report.findings.push(finding(unseen));
        assert!(report.is_sound() && !is_complete(&report));
        let text = readable(&report);
        assert!(text.contains("CALLFERRY_AMQP_MANAGEMENT_URL"), "{text}");
    }
}
