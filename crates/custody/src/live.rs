//! Keys in a process that runs: the file is read again when it has changed, so that a rotation
//! needs no restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use recording::{ReceiptSigner, SignedReceipt, Statement};

use crate::file::{KeyFault, KeyView, Keys, Stamp, read};
use crate::key::PublicKey;
use crate::receipt;
use crate::trusted::TrustedKeys;

/// How long a look at the file is good for. Until then the older key signs, which is published.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keys of a file. Cheap to clone: clones are the same keys, also when the file changes.
#[derive(Clone)]
pub struct ReceiptKeys {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
    seen: Mutex<Seen>,
}

struct Seen {
    stamp: Stamp,
    looked_at: Instant,
}

impl fmt::Debug for ReceiptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptKeys")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl ReceiptKeys {
    /// Reads the keys of a file.
    ///
    /// # Errors
    /// When it cannot be read, others may read or write it though it holds a private key, or it is
    /// no file of keys.
    pub fn load(path: &Path) -> Result<Self, KeyFault> {
        let (keys, stamp) = read(path)?;
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                keys: RwLock::new(Arc::new(keys)),
                seen: Mutex::new(Seen {
                    stamp,
                    looked_at: Instant::now(),
                }),
            }),
        })
    }

    /// The id of the key that signs; `None`: these are public keys, for publishing alone.
    #[must_use]
    pub fn signing_id(&self) -> Option<String> {
        let keys = self.keys();
        Some(keys.signing()?.public().id().to_owned())
    }

    /// Every public key, the one that signs first.
    #[must_use]
    pub fn public(&self) -> Vec<PublicKey> {
        let keys = self.keys();
        let public = keys
            .in_order()
            .into_iter()
            .map(|held| held.public().clone());
        public.collect()
    }

    /// What verifies these keys' receipts.
    #[must_use]
    pub fn trusted(&self) -> TrustedKeys {
        TrustedKeys::of(self.public())
    }

    /// The keys as they may be shown.
    #[must_use]
    pub fn views(&self) -> Vec<KeyView> {
        self.keys().views()
    }

    /// The keys as the file has them; looks whether it changed, at most once a second.
    fn keys(&self) -> Arc<Keys> {
        self.look_again();
        let held = self.shared.keys.read();
        Arc::clone(&held.unwrap_or_else(PoisonError::into_inner))
    }

    fn can_sign(&self) -> bool {
        let held = self.shared.keys.read();
        held.unwrap_or_else(PoisonError::into_inner)
            .signing()
            .is_some()
    }

    fn look_again(&self) {
        // Whoever comes while somebody looks goes on with what is there.
        let Ok(mut seen) = self.shared.seen.try_lock() else {
            return;
        };
        if seen.looked_at.elapsed() < LOOK_EVERY {
            return;
        }
        seen.looked_at = Instant::now();
        let found = std::fs::metadata(&self.shared.path);
        if found.is_ok_and(|found| Stamp::of(&found) == seen.stamp) {
            return;
        }
        match read(&self.shared.path) {
            // What could sign would sign nothing any more, and nobody would hear of it.
            Ok((keys, _)) if keys.signing().is_none() && self.can_sign() => tracing::warn!(
                "the receipt keys were replaced by public ones: the old ones go on signing until \
                 the process ends; put the file of `callferry receipt-key` back"
            ),
            Ok((keys, stamp)) => {
                seen.stamp = stamp;
                tracing::info!(
                    receipt_key.current = keys.current,
                    receipt_key.keys = keys.keys.len(),
                    "the receipt keys changed and were read again"
                );
                let held = self.shared.keys.write();
                *held.unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            // What was read before is still good: its public half stays published.
            Err(fault) => tracing::warn!(
                error = %fault,
                "the receipt keys changed and cannot be read: the old ones are kept"
            ),
        }
    }
}

impl ReceiptSigner for ReceiptKeys {
    fn sign(&self, statement: &Statement) -> Option<SignedReceipt> {
        let keys = self.keys();
        receipt::sign(statement, keys.signing()?)
    }
}

#[cfg(test)]
mod tests;
