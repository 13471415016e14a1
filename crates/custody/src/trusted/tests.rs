//! Which files are keys to verify with, and which are refused with which words.

use super::*;
use crate::key::SigningKey;

#[test]
fn a_set_a_key_and_pem_say_the_same() {
    let key = SigningKey::generate().unwrap();
    let public = key.public();
    let other = SigningKey::generate().unwrap();
    let both = PublicKey::set(&[public.clone(), other.public().clone()]).to_string();
    assert_eq!(TrustedKeys::read(&both).unwrap().keys().count(), 2);
    for text in [
        PublicKey::set(std::slice::from_ref(public)).to_string(),
        public.jwk().to_string(),
        public.pem(),
        format!("a comment\n{}", public.pem().replace('\n', "\r\n")),
    ] {
        let keys = TrustedKeys::read(&text).unwrap();
        assert_eq!(keys.find(public.id()), Some(public), "{text}");
    }
    let twice = format!("{}{}", public.pem(), public.pem());
    assert_eq!(TrustedKeys::read(&twice).unwrap().keys().count(), 1);
}

#[test]
fn what_is_no_set_of_public_keys_is_refused_in_words() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let jwk = key.public().jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        json!({ "keys": [jwk] }).to_string()
    };
    let (x, id) = (key.public().x(), key.public().id());
    let mut same_id = other.public().jwk();
    same_id["kid"] = json!(id);
    for (what, text, says) in [
        ("nothing", String::new(), "neither"),
        ("a private JWK", with("d", json!("AAAA")), "private key"),
        (
            "two keys with one id",
            json!({ "keys": [jwk, same_id] }).to_string(),
            "another name",
        ),
        (
            "an id of another make",
            with("kid", json!("key-1")),
            "another name",
        ),
        ("a short key", with("x", json!("AAAA")), "32 bytes"),
        ("padding", with("x", json!(format!("{x}="))), "32 bytes"),
        ("another curve", with("crv", json!("X25519")), "no Ed25519"),
        ("a key for secrets", with("use", json!("enc")), "no Ed25519"),
        (
            "a symmetric key",
            json!({"keys": [{"kty": "oct", "k": x}]}).to_string(),
            "no Ed25519",
        ),
        (
            "keys that are no list",
            json!({ "keys": jwk }).to_string(),
            "no list",
        ),
        (
            "a member twice",
            jwk.to_string()
                .replacen('{', &format!("{{\"x\":\"{x}\","), 1),
            "strict JSON",
        ),
        (
            "a private PEM",
            key.public().pem().replace("PUBLIC", "PRIVATE"),
            "private key",
        ),
        (
            "a certificate",
            key.public().pem().replace("PUBLIC KEY", "CERTIFICATE"),
            "PUBLIC KEY",
        ),
        (
            "a PEM without its end",
            key.public().pem().replace("-----END", ""),
            "PUBLIC KEY",
        ),
        (
            "a PEM of something else",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned(),
            "not Ed25519",
        ),
    ] {
        let refused = TrustedKeys::read(&text).unwrap_err();
        assert!(refused.contains(says), "{what}: {refused}");
    }
}
