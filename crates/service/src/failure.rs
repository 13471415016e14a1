//! How a command fails: what is wrong, what to do about it, and whether it was asked wrongly.

use std::fmt;

/// A failure that a person can act on.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    usage: bool,
}

impl Failure {
    /// What was asked for could not be done: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            usage: false,
        }
    }

    /// It was asked for wrongly, nothing was tried: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::failed(message)
        }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

fn innermost(error: &anyhow::Error) -> Option<&Failure> {
    let direct = error.downcast_ref::<Failure>();
    direct.or_else(|| error.chain().find_map(|cause| cause.downcast_ref()))
}

/// What to do about an error, if it knows.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&str> {
    innermost(error)?.hint.as_deref()
}

/// The exit code: 2 when it was asked for wrongly, 1 when it failed.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if innermost(error).is_some_and(|failure| failure.usage) {
        2
    } else {
        1
    }
}
