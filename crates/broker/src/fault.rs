//! What can be wrong with the broker, as situations.

use lapin::ErrorKind;
use recording::Class;

/// Why the broker could not be asked, or did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerFault {
    /// The address is not one. The text never repeats it: it may hold a password.
    #[error("the {0} URL cannot be understood; expected {1}")]
    Url(&'static str, &'static str),
    /// No connection.
    #[error("the broker cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time: a frozen broker, or a path that swallows packets.
    #[error("no answer from the broker: {0}")]
    Silent(String),
    /// The broker said no: a missing queue, other arguments, no permission.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// The management API did not answer as it should.
    #[error("the broker's management API: {0}")]
    Management(String),
}

impl BrokerFault {
    /// Who can make the next attempt succeed.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Management(_) => Class::Transient,
            Self::Url(..) | Self::Refused(_) => Class::Permanent,
        }
    }

    /// What an AMQP error means while `doing` something.
    pub(crate) fn of(doing: &str, error: &lapin::Error) -> Self {
        if let ErrorKind::ProtocolError(refusal) = error.kind() {
            return Self::Refused(format!("{doing}: {}", refusal.get_message()));
        }
        Self::Unreachable(format!("{doing}: {error}"))
    }
}

/// A session is over; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Lost(pub(crate) String);
