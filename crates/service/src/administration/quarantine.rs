//! What is told of quarantined messages, and what is done to several of them.

use anyhow::{Context as _, Result};
use catalog::AdminFault;
use recording::RefusalReason;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// A view with what the person who reads it can do about the reason.
pub(crate) fn with_hint(view: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(view).context("writing the answer as JSON")?;
    let reason = value.get("reason").and_then(Value::as_str);
    let reason = reason.and_then(|word| word.parse::<RefusalReason>().ok());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("hint".to_owned(), json!(reason.map(RefusalReason::hint)));
    }
    Ok(value)
}

/// What became of several messages.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Done as asked.
    pub(crate) done: Vec<i64>,
    /// Not done, and why.
    faults: Vec<(i64, AdminFault)>,
}

/// Does something to each message, whatever became of the others.
pub(crate) async fn each(
    ids: &[i64],
    act: impl AsyncFn(i64) -> Result<(), AdminFault>,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for id in ids {
        // A ledger that is away is not asked again for every message that is left.
        let away = outcomes.faults.last().and_then(|(_, fault)| match fault {
            AdminFault::Ledger(_) => Some(fault.clone()),
            AdminFault::NotFound { .. }
            | AdminFault::Exists { .. }
            | AdminFault::Refused { .. }
            | AdminFault::Overlap { .. }
            | AdminFault::Misconfigured { .. } => None,
        });
        let acted = match away {
            Some(fault) => Err(fault),
            None => act(*id).await,
        };
        match acted {
            Ok(()) => outcomes.done.push(*id),
            Err(fault) => outcomes.faults.push((*id, fault)),
        }
    }
    outcomes
}

impl Outcomes {
    /// Those that were refused.
    pub(crate) fn refused(&self) -> Vec<i64> {
        self.faults.iter().map(|(id, _)| *id).collect()
    }

    /// One that was done.
    pub(crate) fn done(id: i64) -> Self {
        Self {
            done: vec![id],
            faults: Vec::new(),
        }
    }

    /// The answer, in which the ones that were done are called `done`.
    pub(crate) fn answer(&self, done: &str) -> Value {
        json!({ done: self.done, "refused": self.refused() })
    }

    /// A failure if anything was refused: it names each message, and says why of the first.
    pub(crate) fn verdict(&self) -> Result<()> {
        let Some((id, first)) = self.faults.first() else {
            return Ok(());
        };
        let refused: Vec<_> = self.refused().iter().map(ToString::to_string).collect();
        let message = format!("not done: {}; {id}: {first}", refused.join(", "));
        Err(Failure::failed(message).hint(first.hint()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::LedgerFault;

    fn absent(id: i64) -> AdminFault {
        AdminFault::NotFound {
            what: format!("message {id}"),
            hint: "list them".to_owned(),
        }
    }

    #[tokio::test]
    async fn one_message_that_is_refused_does_not_keep_the_others_from_what_was_asked() {
        let acts = async |id| if id == 2 { Err(absent(id)) } else { Ok(()) };
        let outcomes = each(&[1, 2, 3], acts).await;
        assert_eq!(
            (outcomes.done.as_slice(), outcomes.refused()),
            (&[1, 3][..], vec![2])
        );
        let error = outcomes.verdict().unwrap_err();
        assert!(
            error.to_string().contains("message 2 does not exist"),
            "{error}"
        );
        assert_eq!(crate::failure::hint(&error), Some("list them"));
        assert_eq!(crate::failure::exit_code(&error), 1);
        assert!(each(&[1], acts).await.verdict().is_ok());
    }

    #[tokio::test]
    async fn a_ledger_that_is_away_is_asked_once_and_everything_left_is_refused() {
        let asked = std::cell::Cell::new(0);
        let outcomes = each(&[1, 2, 3], async |_| {
            asked.set(asked.get() + 1);
            Err(LedgerFault::Unavailable("away".to_owned()).into())
        });
        assert_eq!(outcomes.await.refused(), [1, 2, 3]);
        assert_eq!(asked.get(), 1);
    }
}
