//! Logging set-up: one JSON object a line for machines, or readable lines for a person at a
//! terminal. Always on standard error: standard output belongs to a command's answer.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::{EnvFilter, fmt as layer};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text where standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line, fields at its top level.
    Json,
    /// Readable lines.
    Text,
}

impl LogFormat {
    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::Json, Self::Text]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a log format: use auto, json or text"))
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing can be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogsFault {
    /// The filter cannot be read; says where.
    Filter(String),
    /// Logging was set up before in this process.
    Twice,
}

impl fmt::Display for LogsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(why) => write!(f, "the log filter cannot be read: {why}"),
            Self::Twice => f.write_str("logging was set up twice"),
        }
    }
}

impl std::error::Error for LogsFault {}

/// Libraries that repeat on their own lines what we log once, where it becomes a settlement, or
/// that may show at a fine level what passes through them. A filter given by the operator cannot
/// open them: requests carry signatures there, and the broker's URL its password.
const QUIET: [&str; 9] = [
    "lapin",
    "amq_protocol",
    "async_rs",
    "aws_config",
    "aws_smithy_runtime",
    "hyper",
    "hyper_util",
    "reqwest",
    "tokio_postgres",
];

/// Reads a filter, refuses one that would open a quiet library, and closes those.
fn filter(directives: &str) -> Result<EnvFilter, LogsFault> {
    for directive in directives.split(',') {
        let target = directive.split(['=', ':', '[']).next().unwrap_or_default();
        if QUIET.contains(&target.trim()) {
            let why = format!("`{directive}`: this library's own lines are never logged");
            return Err(LogsFault::Filter(why));
        }
    }
    let mut filter =
        EnvFilter::try_new(directives).map_err(|error| LogsFault::Filter(error.to_string()))?;
    for library in QUIET {
        let directive = format!("{library}=off")
            .parse()
            .map_err(|error| LogsFault::Filter(format!("{library}: {error}")))?;
        filter = filter.add_directive(directive);
    }
    Ok(filter)
}

/// Checks that a filter can be read, without setting anything up.
///
/// # Errors
/// [`LogsFault::Filter`].
pub fn check_filter(directives: &str) -> Result<(), LogsFault> {
    filter(directives).map(drop)
}

/// Sets logging up for the whole process: `directives` as in `info` or `info,broker=debug`.
///
/// # Errors
/// The filter cannot be read, or logging was set up before.
pub fn log_to_stderr(format: LogFormat, directives: &str) -> Result<(), LogsFault> {
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let builder = layer()
        .with_env_filter(filter(directives)?)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let done = if json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    } else {
        builder.with_ansi(terminal).compact().try_init()
    };
    done.map_err(|_| LogsFault::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused_with_the_place_and_never_opens_the_quiet_libraries() {
        let text = filter("trace,broker=debug").unwrap().to_string();
        assert!(text.contains("lapin=off"), "{text}");
        for opens in ["lapin=trace", "info,hyper::client=debug", "reqwest"] {
            assert!(check_filter(opens).is_err(), "{opens}");
        }
        assert!(check_filter("info").is_ok());
        assert!(matches!(
            check_filter("info,=="),
            Err(LogsFault::Filter(why)) if !why.is_empty()
        ));
    }

    #[test]
    fn every_format_reads_back_as_itself() {
        for format in [LogFormat::Auto, LogFormat::Json, LogFormat::Text] {
            assert_eq!(format.as_str().parse::<LogFormat>(), Ok(format));
        }
        assert!("JSON".parse::<LogFormat>().is_err());
    }
}
