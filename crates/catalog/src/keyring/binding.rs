//! What a sealed secret is bound to: it opens in no other place than the one it was made for.

use recording::DestinationOwner;
use uuid::Uuid;

/// The parts of a row that say whose a secret is and where it is sent. Whoever can write the
/// database, and no more, can neither give one owner's secret to another nor have it sent
/// somewhere else.
pub(crate) struct Binding(Vec<u8>);

impl Binding {
    /// Binds to a row and to these parts of it, in this order for ever.
    ///
    /// SUBTLE: the revision is not in it, since the database assigns it as the row is written;
    /// `secret_id`, random and unique, stands for the row.
    pub(crate) fn new(owner: &DestinationOwner, secret_id: Uuid, parts: [&str; 6]) -> Self {
        let (kind, name) = match owner {
            DestinationOwner::Account(account) => ("account", account.as_str()),
            DestinationOwner::Default => ("default", ""),
        };
        let mut bytes = Vec::new();
        for part in [kind.as_bytes(), name.as_bytes(), secret_id.as_bytes()] {
            append(&mut bytes, part);
        }
        for part in parts {
            append(&mut bytes, part.as_bytes());
        }
        Self(bytes)
    }

    fn under(&self, label: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len().saturating_add(128));
        append(&mut bytes, label);
        bytes.extend_from_slice(&self.0);
        bytes
    }

    /// Of a secret under the ring's key itself.
    pub(super) fn first_release(&self) -> Vec<u8> {
        self.under(b"callferry destinations.secret_sealed v1")
    }

    /// Of a secret under its data key.
    pub(super) fn secret(&self) -> Vec<u8> {
        self.under(b"callferry destinations.secret_sealed v2")
    }

    /// Of a data key under the ring's key of this id.
    pub(super) fn data_key(&self, key_id: &str) -> Vec<u8> {
        let mut bytes = self.under(b"callferry destinations.secret_wrapped_key v2");
        append(&mut bytes, key_id.as_bytes());
        bytes
    }
}

/// The lengths make it impossible that two lists of parts read the same.
fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}
