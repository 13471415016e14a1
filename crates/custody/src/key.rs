//! One key: its private half, which signs, and its public half, which anybody may have.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Bytes of a private key's seed, and of a public key.
pub(crate) const KEY_BYTES: usize = 32;
/// What leads an Ed25519 key in the DER of a `SubjectPublicKeyInfo` (RFC 8410).
pub(crate) const SPKI_LEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A public key, and its id: the thumbprint of RFC 7638.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    bytes: [u8; KEY_BYTES],
}

impl PublicKey {
    pub(crate) fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let x = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        // The members that RFC 8037 names, in their order, without white space.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        Self { id, bytes }
    }

    /// Reads the `x` of a JSON Web Key.
    pub(crate) fn from_x(x: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(x).ok()?;
        Some(Self::new(bytes.try_into().ok()?))
    }

    /// What receipts call it: `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as the `x` of a JSON Web Key.
    pub(crate) fn x(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.bytes)
    }

    /// As a JSON Web Key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": self.x(),
            "kid": self.id, "alg": "EdDSA", "use": "sig",
        })
    }

    /// As a PEM block, as OpenSSL takes it.
    #[must_use]
    pub fn pem(&self) -> String {
        let der = [&SPKI_LEAD[..], &self.bytes].concat();
        let body = BASE64_STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// Whether this is the key's signature of the message.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.bytes);
        key.verify(message, signature).is_ok()
    }
}

/// A key that signs. Its seed is in no text but the key file's.
pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; KEY_BYTES]>,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.public.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new one. `None`: the system gives no random bytes.
    pub(crate) fn generate() -> Option<Self> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut seed[..]).ok()?;
        Self::from_seed(seed)
    }

    pub(crate) fn from_seed(seed: Zeroizing<[u8; KEY_BYTES]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self {
            pair,
            seed,
            public: PublicKey::new(public),
        })
    }

    /// Reads the seed as the file has it.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map(Zeroizing::new);
        let seed = <[u8; KEY_BYTES]>::try_from(&bytes.ok()?[..]).ok()?;
        Self::from_seed(Zeroizing::new(seed))
    }

    /// The seed as the file has it.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(&self.seed[..]))
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of a message: the same for the same message, always.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.pair.try_sign(message).ok()?;
        Some(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        let digits = text.as_bytes().chunks(2);
        let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16));
        bytes
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
            .try_into()
            .unwrap()
    }

    /// RFC 8032, 7.1, test 2; RFC 8037, appendix A.3 has test 1's thumbprint.
    #[test]
    fn keys_signatures_and_thumbprints_are_those_of_the_standards() {
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let key = SigningKey::from_seed(Zeroizing::new(seed)).unwrap();
        let signature: [u8; 64] = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(key.sign(&[0x72]).unwrap(), signature);
        assert!(key.public().signed(&[0x72], &signature));
        assert!(!key.public().signed(&[0x73], &signature));
        let public = PublicKey::from_x("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(public.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_does_not_print() {
        let key = SigningKey::generate().unwrap();
        assert!(!format!("{key:?}").contains(key.text().as_str()));
        assert!(SigningKey::from_text(&key.text()).unwrap().public() == key.public());
    }
}
