//! Custody receipts, signed and verified: the keys, the file they lie in, and what a receipt looks
//! like outside. What is stated is `recording::Statement`'s matter.
//!
//! **Decision.** A receipt is a JWS in its compact form (RFC 7515) with `alg` `EdDSA` (RFC 8037),
//! the key's thumbprint (RFC 7638) as `kid`, and a `typ` of its own; the payload is one canonical
//! JSON object. **Because** every language has a library that verifies it, a token library takes it
//! for one of its own, and the `typ` keeps it from ever being taken for an access token. **Instead
//! of** DSSE, which few libraries know, a detached signature, which two files must stay together
//! for, and `Ed25519` as the name of the algorithm (RFC 9864), which libraries do not know yet.
//!
//! **Decision.** Ed25519 comes from `aws-lc-rs`. **Because** TLS and the key ring are built on it:
//! there is one cryptography. **Instead of** `ed25519-dalek`, a second one.
//!
//! **Decision.** A key's id is what is computed from it, wherever it is written. **Because** two
//! keys then never share an id, and no file can call a key by another one's name. **Instead of**
//! believing the `kid` of a key set.
//!
//! **Decision.** A rotation throws the older private key away and keeps its public half published.
//! **Because** whoever takes the file later cannot sign under keys of the past. **Instead of**
//! keeping private keys that sign nothing any more.

mod file;
mod key;
mod live;
mod receipt;
mod rotation;
mod trusted;

pub use file::{KeyFault, KeyView, Standing};
pub use key::PublicKey;
pub use live::ReceiptKeys;
pub use receipt::{Invalid, Receipt, found_in, verify};
pub use rotation::{KeyFile, Turned};
pub use trusted::TrustedKeys;
