//! A good event, and how it is spoilt.

use serde_json::{Value, json};

/// An event that would be taken up as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Event(Value);

impl Event {
    /// Announces `account/bad/<id>.wav` with this many bytes.
    pub(crate) fn of(account: &str, id: &str, size: usize) -> Self {
        Self(json!({
            "specversion": "1.0", "id": format!("event-{id}"), "source": "urn:recorder:eu-1",
            "type": "callferry.recording.completed.v1", "subject": id,
            "time": "2026-11-22T10:00:05Z", "datacontenttype": "application/json",
            "data": {
                "recording_id": id, "account_id": account, "interaction_id": "call-19",
                "kind": "call", "media_type": "audio/wav",
                "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T10:00:00Z",
                "duration_ms": 120_000,
                "original": {"path": format!("{account}/bad/{id}.wav"), "size_bytes": size},
                "attributes": {"queue": "sales"}
            }
        }))
    }

    /// Sets what is at a JSON pointer, in an object that is there.
    pub(crate) fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.0.pointer_mut(parent).expect("an object is there");
        parent
            .as_object_mut()
            .expect("it is an object")
            .insert(name.to_owned(), value.into());
        self
    }

    /// Takes away what is at a JSON pointer.
    pub(crate) fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.0.pointer_mut(parent).expect("an object is there");
        let gone = parent.as_object_mut().expect("an object").remove(name);
        assert!(gone.is_some(), "nothing was at {pointer}");
        self
    }

    /// The text of the event.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}
