//! The judge: where a case has ended, by what the command line says, and what the operator is told.

use std::collections::BTreeMap;

use recording::{Class, ParkReason, RefusalReason};
use serde_json::Value;

use super::case::{Case, End};

/// What an operator sees of a case that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it is.
    pub(crate) place: String,
    /// What is said about it.
    pub(crate) message: String,
    /// What helps.
    pub(crate) hint: String,
}

/// What the command line says at one moment.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Quarantined messages, as `quarantine show` has them.
    pub(crate) quarantined: Vec<Value>,
    /// Recordings, by account and id.
    pub(crate) recordings: BTreeMap<(String, String), Value>,
    /// Deliveries by role and outcome, over the whole fleet.
    pub(crate) outcomes: BTreeMap<(String, String), u64>,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Where a case stands compared with `end`; an error says what it is instead.
pub(crate) fn judge(case: &Case, end: End, view: &View) -> Result<Seen, String> {
    match end {
        End::Quarantine(reason) => quarantined(case, reason, view),
        End::Parked(reason) => parked(case, reason, view),
        End::Stored => stored(case, view),
        End::Kept(reason) => kept(case, reason, view),
        End::Counted(role, outcome) => {
            let key = (role.to_owned(), outcome.to_owned());
            match view.outcomes.get(&key) {
                Some(1..) => Ok(Seen {
                    place: format!("settled, counted as `{outcome}` of `{role}`"),
                    message: "-".to_owned(),
                    hint: "nothing: nothing was done for it".to_owned(),
                }),
                Some(0) | None => Err(format!("no delivery of {role} ended as {outcome}")),
            }
        }
        End::Configuration => Err("is judged by running it".to_owned()),
    }
}

/// The kept bytes of a quarantined message.
pub(crate) fn body(shown: &Value) -> Vec<u8> {
    match shown["body"].as_str() {
        Some(body) => body.as_bytes().to_vec(),
        None => hex::decode(text(shown, "body_hex")).unwrap_or_default(),
    }
}

fn quarantined(case: &Case, reason: RefusalReason, view: &View) -> Result<Seen, String> {
    let sent = case.sent.first().ok_or("nothing was sent")?;
    let kept = sent.body.get(..256 * 1024).unwrap_or(&sent.body);
    let mut mine = view.quarantined.iter().filter(|shown| {
        // The same bytes may be here for another reason: properties are not part of them.
        body(shown) == kept && shown["body_bytes"] == sent.body.len()
    });
    let shown = mine.next().ok_or("no such message is in quarantine")?;
    let whole = kept.len() == sent.body.len();
    for (what, holds) in [
        ("another reason", text(shown, "reason") == reason.as_str()),
        ("another detail", text(shown, "detail").contains(&case.says)),
        ("another hint", text(shown, "hint") == reason.hint()),
        ("another count", shown["count"] == case.sent.len()),
        ("requeuable or not", shown["requeuable"] == whole),
        ("not alone", mine.next().is_none()),
    ] {
        if !holds {
            return Err(format!("{what}: {}", without_body(shown)));
        }
    }
    Ok(Seen {
        place: format!("quarantine: `{reason}`"),
        message: text(shown, "detail").to_owned(),
        hint: text(shown, "hint").to_owned(),
    })
}

fn without_body(shown: &Value) -> Value {
    let mut shown = shown.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|name, _| name != "body" && name != "body_hex");
    }
    shown
}

fn row<'a>(case: &Case, view: &'a View) -> Result<&'a Value, String> {
    let key = (case.account.clone(), case.id.clone());
    let row = view.recordings.get(&key);
    row.ok_or_else(|| "the ledger does not know it".to_owned())
}

fn expect(row: &Value, state: &str, reason: &str) -> Result<(), String> {
    let found = (text(row, "state"), text(row, "reason"));
    if found == (state, reason) {
        return Ok(());
    }
    Err(format!("it is {found:?}: {}", row["detail"]))
}

fn parked(case: &Case, reason: ParkReason, view: &View) -> Result<Seen, String> {
    let row = row(case, view)?;
    expect(row, "parked", reason.as_str())?;
    let by_itself = row["next_attempt_at"].is_string();
    if !text(row, "detail").contains(&case.says) && case.end == End::Parked(reason) {
        return Err(format!("another detail: {}", row["detail"]));
    }
    if text(row, "hint") != reason.hint() {
        return Err(format!("another hint: {}", row["hint"]));
    }
    // What only a person can mend is not tried again by itself, and the other way round.
    let waits = match reason.class() {
        Class::Permanent => !by_itself,
        Class::Transient => by_itself,
        Class::Destination => true,
    };
    if !waits {
        return Err(format!("next attempt: {}", row["next_attempt_at"]));
    }
    let who = if reason.class() == Class::Permanent {
        ", for a person"
    } else {
        ""
    };
    Ok(Seen {
        place: format!("parked: `{reason}`{who}"),
        message: text(row, "detail").to_owned(),
        hint: text(row, "hint").to_owned(),
    })
}

fn stored(case: &Case, view: &View) -> Result<Seen, String> {
    let row = row(case, view)?;
    match text(row, "state") {
        "stored" | "released" => Ok(Seen {
            place: "stored".to_owned(),
            message: "-".to_owned(),
            hint: "nothing".to_owned(),
        }),
        state => Err(format!(
            "it is {state}: {} {}",
            row["reason"], row["detail"]
        )),
    }
}

fn kept(case: &Case, reason: ParkReason, view: &View) -> Result<Seen, String> {
    let row = row(case, view)?;
    expect(row, "stored", reason.as_str())?;
    Ok(Seen {
        place: format!("stored, release refused: `{reason}`"),
        message: text(row, "detail").to_owned(),
        hint: text(row, "hint").to_owned(),
    })
}
