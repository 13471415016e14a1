//! The command line: a contract that scripts rely on. One file for each command in the folder.
//!
//! Exit code 0 only when a command did what it says, 1 when it failed, 2 when it was asked
//! wrongly. The answer is on standard output (`--json`: one JSON document and nothing else),
//! everything else on standard error.

mod access_log;
mod account;
mod configuration;
mod context;
pub(crate) mod destination;
mod hold;
mod keyring;
mod migrate;
mod parked;
mod publish;
mod quarantine;
mod receipt;
mod receipt_key;
mod recording;
mod retention;
pub(crate) mod role;
mod setup_kit;
mod status;
mod topology;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use telemetry::LogFormat;

use crate::config::Config;
use crate::output::Output;
pub(crate) use context::Context;
pub(crate) use destination::azure::secret_file::read as read_secret_word;

/// Carries each finished call recording to the customer's own bucket, proves that it arrived,
/// says so, and only then lets the original go.
#[derive(Debug, Parser)]
#[command(name = "callferry", version, propagate_version = true)]
#[command(after_help = "\
Examples:
  callferry migrate
  callferry topology apply
  callferry account create acme --name 'Acme Ltd'
  callferry setup-kit acme --format iam --bucket acme-calls \\
      --region eu-central-1 --out acme-kit
  callferry destination set acme s3 --bucket acme-calls --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry
  callferry run all
  callferry publish --account acme /srv/recordings/acme/2026/11/22
  callferry recording show --account acme rec-7f3a

Each command has examples of its own: callferry COMMAND --help")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file; without it `CALLFERRY_CONFIG`, without that defaults
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Answer with one JSON document on standard output; `run` has no answer and logs in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one or more roles until SIGTERM or SIGINT
    Run(crate::run::RunArgs),
    /// Bring the ledger's schema up to date and mark the staging folder as its own
    Migrate(migrate::MigrateArgs),
    /// Declare, check or print the broker's exchange, queues and bindings
    #[command(subcommand)]
    Topology(topology::TopologyCommand),
    /// Create, list and show accounts
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Set, list and show destinations: which bucket, how to reach it, how to write there; S3
    /// and Azure
    #[command(subcommand)]
    Destination(destination::DestinationCommand),
    /// Write what a customer's administrator applies, so that we may use a bucket or container:
    /// a role with exactly the permissions we use, and why
    SetupKit(Box<setup_kit::SetupKitArgs>),
    /// Make, show and rotate the key ring that secrets of destinations are encrypted with
    #[command(subcommand)]
    Keyring(keyring::KeyringCommand),
    /// Make, show and rotate the key that custody receipts are signed with
    #[command(subcommand)]
    ReceiptKey(receipt_key::ReceiptKeyCommand),
    /// Verify custody receipts, without any server, and list the keys that they are signed with
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Announce files in staging, as a recorder would
    Publish(publish::PublishArgs),
    /// Show where recordings are and how they got there
    #[command(subcommand)]
    Recording(recording::RecordingCommand),
    /// Set how long copies are kept, and see what goes when
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Place, release and list legal holds, which nothing that is deleted passes
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// List what cannot go on now, and try it again
    #[command(subcommand)]
    Parked(parked::ParkedCommand),
    /// Look at messages that are not believed, return them or drop them
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Carry one recording to an outcome in a process of its own; `run transfer` starts it for
    /// recordings that are suspected to take their process down
    #[command(hide = true)]
    TransferOne(crate::run::OneArgs),
    /// Export who listened to recordings, and who was refused
    #[command(subcommand)]
    AccessLog(access_log::AccessLogCommand),
    /// Say how much is where and since when: by state and reason, due, waiting for a person, in
    /// quarantine
    Status(status::StatusArgs),
    /// Print the effective configuration, without secrets
    Config(configuration::ConfigArgs),
}

impl Command {
    /// Sets logging up: a role tells its story as configured, or in JSON where `--json` was said;
    /// a command tells only what went wrong, readably, besides the `error:` it ends with.
    pub(crate) fn log(&self, config: &Config, json: bool) -> Result<()> {
        let (format, filter) = if matches!(self, Self::Run(_) | Self::TransferOne(_)) {
            let format = if json {
                LogFormat::Json
            } else {
                config.log_format
            };
            (format, config.log_filter.as_str())
        } else {
            (LogFormat::Text, "error")
        };
        Ok(telemetry::log_to_stderr(format, filter)?)
    }
}

/// Does what was asked for.
pub(crate) async fn execute(command: Command, config: Config, global: Global) -> Result<()> {
    let json = global.json;
    let context = Context {
        config,
        output: Output { json },
    };
    match command {
        Command::Run(args) => crate::run::run(args, context.config, &global).await,
        Command::TransferOne(args) => crate::run::one(args, &context).await,
        Command::Keyring(command) => keyring::execute(&command, &context).await,
        Command::ReceiptKey(command) => receipt_key::execute(&command, &context),
        Command::Receipt(command) => receipt::execute(&command, &context),
        Command::Migrate(args) => migrate::execute(args, &context).await,
        Command::Topology(command) => topology::execute(command, &context).await,
        Command::Account(command) => account::execute(command, &context).await,
        Command::Destination(command) => destination::execute(command, &context).await,
        Command::SetupKit(args) => setup_kit::execute(&args, &context).await,
        Command::Publish(args) => publish::execute(args, &context).await,
        Command::Recording(command) => recording::execute(command, &context).await,
        Command::Retention(command) => retention::execute(command, &context).await,
        Command::Hold(command) => hold::execute(command, &context).await,
        Command::Parked(command) => parked::execute(command, &context).await,
        Command::Quarantine(command) => quarantine::execute(command, &context).await,
        Command::AccessLog(command) => access_log::execute(&command, &context).await,
        Command::Status(args) => status::execute(args, &context).await,
        Command::Config(args) => configuration::execute(args, &context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// A command and every one inside it.
    fn nodes(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        found.push((path.to_owned(), command.clone()));
        for inner in command.get_subcommands() {
            nodes(inner, &format!("{path} {}", inner.get_name()), found);
        }
    }

    /// The words of a line as a shell reads them, where a quoted one stands by itself.
    fn words(line: &str) -> Vec<&str> {
        let pieces = line.split('\'').enumerate();
        let words = pieces.flat_map(|(index, piece)| match index % 2 {
            0 => piece.split_whitespace().collect(),
            _ => vec![piece],
        });
        words.collect()
    }

    #[test]
    fn every_command_has_an_example_that_parses() {
        Cli::command().debug_assert();
        let mut found = Vec::new();
        nodes(&Cli::command(), "callferry", &mut found);
        assert!(found.len() > 32, "{}", found.len());
        for (path, command) in found {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("Examples:"), "{path} has no example");
            let text = help.replace("\\\n", " ");
            let examples = text.lines().filter(|l| l.trim().starts_with("callferry "));
            let mut own = 0;
            for example in examples {
                let words = words(example).into_iter();
                let words: Vec<_> = words.take_while(|w| !["|", ">"].contains(w)).collect();
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
                own += usize::from(
                    words.join(" ").starts_with(&path)
                        || [" s3", " azure"].iter().any(|kind| path.ends_with(kind)),
                );
            }
            assert!(own > 0, "{path} has no example of its own");
        }
    }

    #[test]
    fn roles_are_words_and_playback_is_one_of_all_only_where_it_can_believe_tokens() {
        let error = Cli::try_parse_from(["callferry", "run", "player"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("playback or all"), "{error}");
        assert!(Cli::try_parse_from(["callferry", "run"]).is_err());
        assert!(Cli::try_parse_from(["callferry", "run", "transfer", "playback"]).is_ok());
        let all = |believes| role::roles(&[role::RoleWord::All], believes);
        assert_eq!((all(false).len(), all(true).len()), (3, 4));
        let one = role::RoleWord::One(role::Role::Playback);
        assert_eq!(role::roles(&[one], false).len(), 1);
    }
}
