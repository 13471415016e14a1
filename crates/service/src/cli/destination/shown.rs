//! A destination as it is shown: what the ledger knows, where it is, when its credential ends, and
//! what a person should know about it. Never a secret.

use anyhow::{Context as _, Result};
use catalog::{DestinationView, HealthView, PinnedCounts};
use chrono::{DateTime, TimeDelta, Utc};
use recording::{AzureIdentity, Secret, Store};
use serde_json::{Value, json};

use super::azure::sas;

/// A credential that ends sooner than this is worth a word.
const SOON: TimeDelta = TimeDelta::days(30);

/// A destination as one JSON object.
pub(crate) fn shown(view: &DestinationView, now: DateTime<Utc>) -> Result<Value> {
    let mut shown = serde_json::to_value(view).context("writing the answer as JSON")?;
    if let Some(fields) = shown.as_object_mut() {
        // One level for scripts: the identity's word, and what belongs to it, beside it.
        if let Some(Value::Object(identity)) = fields.remove("identity") {
            fields.extend(identity);
        }
        fields.insert("location".to_owned(), json!(view.store.location()));
        if let Store::Azure(azure) = &view.store {
            let ends = sas_ends(&azure.identity);
            fields.insert("sas_expires_at".to_owned(), json!(ends));
        }
        fields.insert("notes".to_owned(), json!(notes_of(view, now)));
    }
    Ok(shown)
}

/// The same with how it is, beside the rest.
pub(crate) fn with_health(mut shown: Value, health: Option<&HealthView>) -> Result<Value> {
    let health = serde_json::to_value(health).context("writing the answer as JSON")?;
    if let (Some(fields), Value::Object(health)) = (shown.as_object_mut(), health) {
        fields.extend(health);
    }
    Ok(shown)
}

/// How many recordings the revision holds: as numbers for scripts, and in one word for people.
pub(crate) fn add_counts(shown: &mut Value, counts: PinnedCounts) {
    let Some(fields) = shown.as_object_mut() else {
        return;
    };
    let released = counts.released.map(|released| {
        let more = if counts.released_is_a_part { "+" } else { "" };
        (released > 0).then(|| format!("{released}{more} released"))
    });
    let of = |count: u64, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let parts = [
        of(counts.staged, "staged"),
        of(counts.parked, "parked"),
        of(counts.stored, "stored"),
        released.unwrap_or_else(|| Some("released not counted".to_owned())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let holds = if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    };
    fields.insert("holds".to_owned(), json!(holds));
    fields.insert("recordings".to_owned(), json!(counts));
}

/// When a SAS ends; `None` for any other identity, or where the key ring cannot open it.
fn sas_ends(identity: &AzureIdentity) -> Option<DateTime<Utc>> {
    match identity {
        AzureIdentity::Sas { sas_token } => sas::expiry(sas_token.reveal().ok()?),
        AzureIdentity::AccessKey { .. }
        | AzureIdentity::ServicePrincipal { .. }
        | AzureIdentity::Federated { .. }
        | AzureIdentity::ManagedIdentity { .. } => None,
    }
}

/// What a person should know about a revision: nothing of a credential that is not used any more.
fn notes_of(view: &DestinationView, now: DateTime<Utc>) -> Vec<String> {
    if view.credential_revision == view.revision {
        return notes(&view.store, now);
    }
    vec![format!(
        "reached with the role or secret of revision {}, which is for the same place",
        view.credential_revision
    )]
}

/// What a person should know about a destination.
pub(super) fn notes(store: &Store, now: DateTime<Utc>) -> Vec<String> {
    let mut notes = Vec::new();
    let Store::Azure(azure) = store else {
        return notes;
    };
    if let Some(Err(locked)) = azure.identity.secret().map(Secret::reveal) {
        notes.push(locked.to_string());
        return notes;
    }
    if let AzureIdentity::ManagedIdentity { .. } = &azure.identity {
        notes.push(
            "a managed identity is ours and not the customer's: every container that it may write \
             to can be set as anybody's destination"
                .to_owned(),
        );
    }
    if let AzureIdentity::Sas { sas_token } = &azure.identity {
        notes.push(
            "with only a SAS recordings are stored but cannot be played: a SAS is never given \
             out; a service principal or an access key can do both"
                .to_owned(),
        );
        if !sas_token.reveal().is_ok_and(sas::may_expire) {
            let note = "this SAS may not delete and list: copies stay, or are not seen to be \
                        gone, when their retention has ended (sp=rcwdxl)";
            notes.push(note.to_owned());
        }
    }
    match sas_ends(&azure.identity) {
        Some(end) if end <= now => notes.push(format!("the SAS ended at {}", end.to_rfc3339())),
        Some(end) if end - now < SOON => notes.push(format!(
            "the SAS ends at {}: set the destination anew with a fresh one before that",
            end.to_rfc3339()
        )),
        Some(_) | None => {}
    }
    notes
}

/// What was set, in words.
pub(super) fn sentence(set: &DestinationView, now: DateTime<Utc>) -> String {
    let since = set
        .in_force_from
        .map_or_else(|| "the beginning".to_owned(), |from| from.to_rfc3339());
    let mut text = format!(
        "Revision {} of {}: {}/{}{}, in force from {since}.",
        set.revision,
        set.owner,
        set.store.location(),
        set.store.prefix(),
        by(&set.store),
    );
    match set.recordings_pinned {
        None | Some(0) => {}
        Some(some) => text.push_str(&format!(" {some} recordings that waited for it go on.")),
    }
    for note in notes(&set.store, now) {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

/// As whom it is reached.
fn by(store: &Store) -> String {
    let Store::Azure(azure) = store else {
        return String::new();
    };
    match &azure.identity {
        AzureIdentity::AccessKey { .. } => " by access key".to_owned(),
        AzureIdentity::ServicePrincipal { client_id, .. } => {
            format!(" as service principal {client_id}")
        }
        AzureIdentity::Federated { client_id, .. } => {
            format!(" as service principal {client_id}, which trusts our workload")
        }
        AzureIdentity::ManagedIdentity { client_id: None } => " by managed identity".to_owned(),
        AzureIdentity::ManagedIdentity {
            client_id: Some(client_id),
        } => format!(" by managed identity {client_id}"),
        AzureIdentity::Sas { .. } => match sas_ends(&azure.identity) {
            Some(end) => format!(" by SAS until {}", end.to_rfc3339()),
            None => " by SAS".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::{AzureContainer, DestinationOwner};

    const SAS: &str = "sv=2023-11-03&sr=c&sp=rcw&se=2026-12-01T00:00:00Z&sig=canary";

    fn view(identity: AzureIdentity) -> DestinationView {
        let at = "2026-11-22T10:00:00Z".parse().unwrap();
        DestinationView {
            revision: 7,
            credential_revision: 7,
            owner: DestinationOwner::Account("acme".parse().unwrap()),
            store: Store::Azure(AzureContainer {
                storage_account: "acmecalls".to_owned(),
                container: "calls".to_owned(),
                endpoint: None,
                prefix: "eu".to_owned(),
                identity,
            }),
            in_force_from: None,
            set_at: at,
            account_leads_key: false,
            external_id: "x".to_owned(),
            recordings_pinned: Some(2),
            last_check: None,
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_sas_is_shown_with_its_end_and_what_it_cannot_do_and_without_itself() {
        let view = view(AzureIdentity::Sas {
            sas_token: Secret::new(SAS.to_owned()),
        });
        let shown = shown(&view, now()).unwrap();
        assert_eq!(shown["sas_expires_at"], "2026-12-01T00:00:00Z", "{shown}");
        assert_eq!(shown["location"], "az://acmecalls/calls");
        assert_eq!(shown["cloud"], "azure");
        assert_eq!(shown["identity"], "sas");
        let text = sentence(&view, now());
        for says in [
            "Revision 7 of acme: az://acmecalls/calls/eu by SAS until 2026-12-01",
            "2 recordings that waited",
            "cannot be played",
            "may not delete and list",
            "the SAS ends at",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        assert!(!format!("{shown} {text} {view:?}").contains("canary"));
    }

    #[test]
    fn what_a_revision_holds_is_said_in_numbers_and_in_words() {
        let says = |counts: PinnedCounts| {
            let mut shown = json!({});
            add_counts(&mut shown, counts);
            shown["holds"].as_str().unwrap().to_owned()
        };
        let none = PinnedCounts {
            released: Some(0),
            ..PinnedCounts::default()
        };
        assert_eq!(says(none), "nothing");
        let many = PinnedCounts {
            parked: 2,
            released: Some(100_001),
            released_is_a_part: true,
            ..PinnedCounts::default()
        };
        assert_eq!(says(many), "2 parked, 100001+ released");
        let uncounted = PinnedCounts::default();
        assert_eq!(says(uncounted), "released not counted");
    }

    #[test]
    fn a_secret_that_is_locked_is_said_and_asks_for_its_key() {
        let view = view(AzureIdentity::AccessKey {
            access_key: Secret::locked("k1"),
        });
        let text = sentence(&view, now());
        assert!(
            text.contains("by access key") && text.contains("`k1`"),
            "{text}"
        );
    }
}
