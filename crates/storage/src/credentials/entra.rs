//! Entra's tokens: who we are to Azure Storage, where that is an application in the customer's
//! directory, by its secret or by a token of our own workload, or the machine that we run on.

mod ask;
mod refusal;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::client::HttpRequest;
use recording::{Class, Clock, Fault, Operation, ParkReason, RequestResult, Secret};
use secrecy::SecretString;
use serde::Deserialize;

use self::refusal::refusal;
use super::service::{self, Told};
use super::session::{Issued, Session, Source};
use crate::exchange::Line;

/// Microsoft's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// What is believed of a token's life at most.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whose tokens they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Application {
    /// An application that knows a secret.
    Secret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// An application that trusts our workload's own identity.
    Federated {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
    },
    /// The machine that we run on.
    Managed {
        /// Which of its identities, where it has several.
        client_id: Option<String>,
    },
}

/// What the machine that we run on knows of itself.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The way to its own token service, which speaks plain http.
    pub(crate) line: Line,
    /// URL of that service.
    pub(crate) endpoint: String,
    /// What App Service and its like want to be shown; `None` on a virtual machine.
    pub(crate) header: Option<SecretString>,
    /// Where our workload's own token is. It is replaced there long before it ends.
    pub(crate) token_file: Option<PathBuf>,
}

/// How Entra is reached, and the sessions that are in use.
#[derive(Debug)]
pub(crate) struct Entra {
    line: Line,
    machine: Machine,
    /// An origin.
    authority: String,
    clock: Arc<dyn Clock>,
    /// A token cannot be narrowed, so all buckets of one application share it.
    sessions: Mutex<HashMap<Application, Weak<Session<Secret>>>>,
}

/// One application's tokens.
#[derive(Debug)]
struct Tokens {
    entra: Arc<Entra>,
    application: Application,
}

/// A token, as it is issued. Not `Debug`: it is secret.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds; a text in older answers.
    expires_in: Option<serde_json::Value>,
    /// Seconds since 1970, where that is all that is said.
    expires_on: Option<serde_json::Value>,
}

impl Entra {
    pub(crate) fn new(
        line: Line,
        machine: Machine,
        authority: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let authority = authority.unwrap_or_else(|| AUTHORITY.to_owned());
        Self {
            line,
            machine,
            authority: authority.trim_end_matches('/').to_owned(),
            clock,
            sessions: Mutex::default(),
        }
    }

    /// The session of an application, shared while anybody uses it.
    pub(crate) fn session(self: &Arc<Self>, application: Application) -> Arc<Session<Secret>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&application).and_then(Weak::upgrade) {
            return session;
        }
        sessions.retain(|_, session| session.strong_count() > 0);
        let tokens = Tokens {
            entra: Arc::clone(self),
            application: application.clone(),
        };
        let session = Arc::new(Session::new(Box::new(tokens), Arc::clone(&self.clock)));
        sessions.insert(application, Arc::downgrade(&session));
        session
    }
}

#[async_trait]
impl Source<Secret> for Tokens {
    async fn issue(&self) -> Result<Issued<Secret>, Fault> {
        let request = self.request().await?;
        let counted = self.line().counted(Operation::Token);
        let asked = self.exchange(request).await;
        counted.ended(match &asked {
            Ok(_) => RequestResult::Ok,
            Err(fault) if fault.reason == ParkReason::Throttled => RequestResult::Throttled,
            Err(fault) if fault.class() == Class::Destination => RequestResult::Denied,
            Err(_) => RequestResult::Unreachable,
        });
        asked
    }
}

impl Tokens {
    fn line(&self) -> &Line {
        match self.application {
            Application::Secret { .. } | Application::Federated { .. } => &self.entra.line,
            Application::Managed { .. } => &self.entra.machine.line,
        }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Issued<Secret>, Fault> {
        let what = self.application.what();
        let asked_at = self.entra.clock.boot();
        let Told { status, body, .. } = service::ask(self.line(), what, request).await?;
        if !status.is_success() {
            let code = refusal::code(&body);
            self.entra.line.refused(Operation::Token, code.as_deref());
            return Err(refusal(&self.application, status, &body));
        }
        let granted: Option<Granted> = serde_json::from_slice(&body).ok();
        let granted = granted.and_then(|granted| {
            let life = granted.life(self.entra.clock.now())?;
            Some((Secret::new(granted.access_token), life.min(LIFE_MAX)))
        });
        match granted {
            Some((token, life)) => Ok(Issued::new(token, asked_at, life)),
            None => Err(passing(format!("{what}: the answer cannot be understood"))),
        }
    }
}

impl Application {
    /// What is asked for, in details.
    fn what(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "token",
            Self::Federated { .. } => "token by federation",
            Self::Managed { .. } => "token of the managed identity",
        }
    }
}

impl Granted {
    fn life(&self, now: DateTime<Utc>) -> Option<Duration> {
        if let Some(life) = self.expires_in.as_ref().and_then(seconds) {
            return Some(life);
        }
        let end = self.expires_on.as_ref().and_then(seconds)?;
        let now = u64::try_from(now.timestamp()).ok()?;
        Some(end.saturating_sub(Duration::from_secs(now)))
    }
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = match value {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    };
    seconds.map(Duration::from_secs)
}

/// Not the customer's fault: the token service, the way to it, or our own machine.
fn passing(detail: impl Into<String>) -> Fault {
    Fault::new(ParkReason::DestinationUnreachable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_a_number_or_a_text_or_the_time_of_its_end() {
        let life = |json: &str| {
            let json = format!("{{\"access_token\":\"t\"{json}}}");
            let granted: Granted = serde_json::from_str(&json).unwrap();
            granted.life("2026-11-22T10:00:00Z".parse().unwrap())
        };
        let hour = Some(Duration::from_secs(3599));
        assert_eq!(life(",\"expires_in\":3599"), hour);
        assert_eq!(life(",\"expires_in\":\"3599\""), hour);
        let end = DateTime::parse_from_rfc3339("2026-11-22T10:59:59Z").unwrap();
        let end = end.timestamp();
        assert_eq!(life(&format!(",\"expires_on\":\"{end}\"")), hour);
        assert_eq!(life(",\"expires_on\":\"1\""), Some(Duration::ZERO));
        assert_eq!(life(",\"expires_in\":null"), None);
        assert_eq!(life(""), None);
    }
}
