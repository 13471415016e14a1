//! Logging set-up: one JSON object a line for machines, or readable lines for a person at a
//! terminal. Always on standard error: standard output belongs to a command's answer.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::Level;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

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
/// that may show at a fine level what passes through them: requests carry signatures and tokens
/// there, statements their parameters, and the broker's URL its password. A filter given by the
/// operator cannot open them. Each name stands for every target that begins with it.
const QUIET: [&str; 13] = [
    "lapin",
    "amq_protocol",
    "async_rs",
    "aws_",
    "h2",
    "hyper",
    "object_store",
    "postgres",
    "reqwest",
    "tokio_postgres",
    "tower",
    "deadpool",
    "rustls_native_certs",
];

/// Where our own lines come from.
const OURS: [&str; 9] = [
    "callferry",
    "recording",
    "roles",
    "broker",
    "catalog",
    "storage",
    "telemetry",
    "retry",
    "service",
];

/// A filter, as it was read.
#[derive(Debug)]
struct Filter {
    levels: EnvFilter,
    /// Targets of others that the operator named.
    named: Vec<String>,
}

/// Reads a filter, refuses one that would open a quiet library, and closes those.
fn filter(directives: &str) -> Result<Filter, LogsFault> {
    let mut named = Vec::new();
    for directive in directives.split(',') {
        let target = directive.split(['=', ':', '[']).next().unwrap_or_default();
        let target = target.trim();
        if QUIET.iter().any(|quiet| target.starts_with(quiet)) {
            let why = format!("`{directive}`: this library's own lines are never logged");
            return Err(LogsFault::Filter(why));
        }
        named.push(target.to_owned());
    }
    let mut levels =
        EnvFilter::try_new(directives).map_err(|error| LogsFault::Filter(error.to_string()))?;
    for library in QUIET {
        let directive = format!("{library}=off")
            .parse()
            .map_err(|error| LogsFault::Filter(format!("{library}: {error}")))?;
        levels = levels.add_directive(directive);
    }
    // `trace` alone is a level and not a name.
    named.retain(|name| !name.is_empty() && LevelFilter::from_str(name).is_err());
    Ok(Filter { levels, named })
}

/// Whether a line may be finer than `info`: ours, and those of a library that the operator named.
///
/// **Decision.** A level without a name opens our own lines only. **Because** whoever asks for
/// `debug` means callferry, and nobody can vouch for what a library shows at that level in its
/// next release. **Instead of** a list of the libraries that leak today, which is kept besides,
/// and refused.
fn may_be_fine(target: &str, named: &[String]) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    OURS.contains(&krate) || named.iter().any(|name| target.starts_with(name.as_str()))
}

impl Filter {
    /// As the layer wants it.
    fn layered<S>(self) -> impl tracing_subscriber::layer::Filter<S>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let Self { levels, named } = self;
        let capped = filter_fn(move |line| {
            *line.level() <= Level::INFO || may_be_fine(line.target(), &named)
        });
        levels.and(capped)
    }
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
    let filter = filter(directives)?.layered();
    let lines = layer()
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let done = if json {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false);
        registry().with(lines.with_filter(filter)).try_init()
    } else {
        let lines = lines.with_ansi(terminal).compact();
        registry().with(lines.with_filter(filter)).try_init()
    };
    done.map_err(|_| LogsFault::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused_with_the_place_and_never_opens_the_quiet_libraries() {
        let text = filter("trace,broker=debug").unwrap().levels.to_string();
        assert!(text.contains("lapin=off"), "{text}");
        for opens in [
            "lapin=trace",
            "info,hyper::client=debug",
            "reqwest",
            "aws_sigv4=trace",
            "hyper_util=debug",
            "object_store::client=debug",
        ] {
            assert!(check_filter(opens).is_err(), "{opens}");
        }
        assert!(check_filter("info").is_ok());
        assert!(matches!(
            check_filter("info,=="),
            Err(LogsFault::Filter(why)) if !why.is_empty()
        ));
    }

    /// What is logged under a filter, of lines at every level from several crates.
    fn logged(directives: &str) -> String {
        #[derive(Clone, Default)]
        struct Heard(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Heard {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let heard = Heard::default();
        let writer = heard.clone();
        let lines = layer().with_ansi(false).with_writer(move || writer.clone());
        let lines = lines.with_filter(filter(directives).unwrap().layered());
        tracing::subscriber::with_default(registry().with(lines), || {
            macro_rules! say {
                ($($target:literal)+) => {$(
                    tracing::trace!(target: $target, "trace of {}.", $target);
                    tracing::debug!(target: $target, "debug of {}.", $target);
                    tracing::info!(target: $target, "info of {}.", $target);
                    tracing::error!(target: $target, "error of {}.", $target);
                )+};
            }
            say!("storage::exchange" "callferry" "rustls::client" "unheard_of" "lapin::channels");
            say!("hyper_util::client" "aws_sigv4" "tokio_postgres::query" "broker");
        });
        String::from_utf8(heard.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_bare_level_opens_our_own_lines_only_and_leaking_libraries_stay_closed() {
        let all = logged("trace");
        for says in [
            "trace of storage::exchange.",
            "debug of callferry.",
            "info of unheard_of.",
            "info of rustls::client.",
        ] {
            assert!(all.contains(says), "{says}: {all}");
        }
        for closed in [
            "debug of unheard_of.",
            "trace of rustls::client.",
            "of lapin",
            "of hyper_util",
            "of aws_sigv4",
            "of tokio_postgres",
        ] {
            assert!(!all.contains(closed), "{closed}: {all}");
        }
        let named = logged("warn,rustls=debug,broker=trace");
        assert!(named.contains("debug of rustls::client."), "{named}");
        assert!(named.contains("trace of broker."), "{named}");
        assert!(!named.contains("trace of rustls::client."), "{named}");
        assert!(!named.contains("info of storage::exchange."), "{named}");
    }

    #[test]
    fn every_format_reads_back_as_itself() {
        for format in [LogFormat::Auto, LogFormat::Json, LogFormat::Text] {
            assert_eq!(format.as_str().parse::<LogFormat>(), Ok(format));
        }
        assert!("JSON".parse::<LogFormat>().is_err());
    }
}
