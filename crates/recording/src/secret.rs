//! Secrets of destinations, as they travel from the ledger to the one request that needs them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret, or the statement that it cannot be read now. It cannot be printed or serialised, and
/// its memory is cleared when the last copy goes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(State);

#[derive(Clone, PartialEq, Eq)]
enum State {
    Known(Arc<Zeroizing<String>>),
    /// The key ring lacks the key that it is encrypted under; the key's id.
    Locked(String),
}

impl Default for State {
    fn default() -> Self {
        Self::Locked("none".to_owned())
    }
}

/// The key ring lacks a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key ring cannot open a secret that is encrypted under key `{0}`")]
pub struct Locked(pub String);

impl Secret {
    /// A secret that is known.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(State::Known(Arc::new(Zeroizing::new(text))))
    }

    /// A secret that is encrypted under a key which is not there.
    #[must_use]
    pub fn locked(key_id: impl Into<String>) -> Self {
        Self(State::Locked(key_id.into()))
    }

    /// The secret's text. Whoever asks must put it into nothing but a request or a cipher.
    ///
    /// # Errors
    /// [`Locked`]: the key ring lacks its key.
    pub fn reveal(&self) -> Result<&str, Locked> {
        match &self.0 {
            State::Known(text) => Ok(text),
            State::Locked(key) => Err(Locked(key.clone())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Known(_) => "Secret(…)",
            State::Locked(_) => "Secret(locked)",
        })
    }
}

impl Hash for Secret {
    /// Nothing of it: equal secrets hash alike, and no hash of a secret leaves here.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.reveal(), Ok("hunter2"));
        let locked = Secret::locked("k1");
        assert_eq!(format!("{locked:?}"), "Secret(locked)");
        assert_eq!(locked.reveal(), Err(Locked("k1".to_owned())));
    }
}
