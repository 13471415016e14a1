//! What is remembered of an upload in parts, in this process and in the ledger, so that the next
//! attempt, here or after a crash, goes on with it.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use recording::{
    Advance, Granted, LeaseLost, Ledger, Part, Progress, RecordingKey, SendFault, Upload, UploadLog,
};

/// The upload of one claim.
pub(super) struct Uploads<'a> {
    ledger: &'a dyn Ledger,
    granted: &'a Granted,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The upload as it stands, whether the ledger knows every part or not.
    upload: Option<Upload>,
    /// Parts that the ledger could not be told of: they go with the next one.
    unwritten: Vec<Part>,
    /// Whether the last attempt found every part there and only had to complete it.
    only_completed: bool,
}

impl<'a> Uploads<'a> {
    pub(super) fn new(ledger: &'a dyn Ledger, granted: &'a Granted) -> Self {
        let state = State {
            upload: granted.upload.clone(),
            ..State::default()
        };
        Self {
            ledger,
            granted,
            state: Mutex::new(state),
        }
    }

    /// The upload that may be open.
    pub(super) fn known(&self) -> Option<Upload> {
        self.state().upload.clone()
    }

    /// Notes what an attempt at sending did.
    pub(super) fn sent(&self, progress: &Progress) {
        self.state().only_completed = progress.bytes() == 0 && progress.resumed_bytes() > 0;
    }

    /// Whether the last attempt found every part there and only had to complete the upload.
    pub(super) fn was_only_completed(&self) -> bool {
        self.state().only_completed
    }

    /// It is over: completed, or given up.
    pub(super) fn ended(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self) -> &RecordingKey {
        &self.granted.staged.announced().key
    }
}

#[async_trait]
impl UploadLog for Uploads<'_> {
    async fn begun(&self, upload: &Upload) -> Result<(), SendFault> {
        let begun = self
            .ledger
            .upload_begun(self.key(), &self.granted.lease, upload)
            .await?;
        match begun {
            Advance::Done(()) => {
                *self.state() = State {
                    upload: Some(upload.clone()),
                    ..State::default()
                };
                Ok(())
            }
            Advance::Overtaken => Err(SendFault::LeaseLost(LeaseLost)),
        }
    }

    async fn landed(&self, part: Part) -> Result<(), SendFault> {
        // At once: a part may be minutes of somebody's line, and one statement is nothing beside.
        let parts = {
            let mut state = self.state();
            if let Some(upload) = &mut state.upload {
                upload.parts.retain(|known| known.number != part.number);
                upload.parts.push(part.clone());
                upload.parts.sort_by_key(|part| part.number);
            }
            let mut parts = std::mem::take(&mut state.unwritten);
            parts.push(part);
            parts
        };
        let written = self
            .ledger
            .upload_landed(self.key(), &self.granted.lease, &parts)
            .await;
        match written {
            Ok(Advance::Done(())) => Ok(()),
            Ok(Advance::Overtaken) => Err(SendFault::LeaseLost(LeaseLost)),
            // A slow ledger must not stall a transfer: these are written with the next ones.
            Err(fault) => {
                tracing::debug!(error = %fault, "parts are noted later");
                self.state().unwritten.extend(parts);
                Ok(())
            }
        }
    }
}
