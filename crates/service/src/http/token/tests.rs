//! What is read of keys, headers and claims; that whole tokens are believed or not is shown on the
//! real server (`tests/tests/http`).

use super::claims::{Claims, Header};
use super::jwks;
use super::scope::Scope;

const ED25519: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEA0uT7Un/BqELo3grFJCLzIc4PD+RuCy4JMS4qdRYDd3U=\n\
-----END PUBLIC KEY-----\n";
const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDSnR2Mc+6/3huRr/HNRC+Ntclg\n\
9NJhchra7bdo95UkGVrVYgY1Ibylb/UlPiwzGtnGp+sd9ChMet+scduMbJ2sLbSo\n\
bbvuhshhvOk1SjXYGKY9tfQHvXv96TWy7wHhpozSt3kl3zEwqlnpxTZhtj6blNug\n\
bdlkCFwvVkgH8EaBDQIDAQAB\n\
-----END PUBLIC KEY-----\n";
const P521: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAp2Khe6iynOBOJAzEG3OSaBXoxMiD\n\
kQEq6CPavAwbYMTefsz2uIAvS8ynPgjkivAc+x1mljeakMSxE2ETeBoBbr4ADLHb\n\
4mn2I5xmR0nnWlX4HDTbe7UZJ4waJPVeX+1ZxD8fa2n3FWnASStnuxvNrICx7ZlU\n\
v7bSuzOAPNWgzr5ZNyw=\n\
-----END PUBLIC KEY-----\n";
const P256: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9kLa5IwD5yIK4Q7arowBg1lKaPZW\n\
uZ4al52mJYXRL6/LpM7HIiluVKXM7+Y8Yk6sSt3ZgElSnP/U7OBrHsgbiQ==\n\
-----END PUBLIC KEY-----\n";

#[test]
fn keys_are_public_strong_and_of_a_kind_that_is_allowed() {
    let both = format!("{ED25519}\n{P256}");
    assert_eq!(jwks::read(ED25519).unwrap().len(), 1);
    assert_eq!(jwks::read(&both).unwrap().len(), 2);
    for (text, says) in [
        ("", "no public key"),
        ("ssh-ed25519 AAAA", "no public key"),
        (RSA_1024, "less than 2048 bits"),
        (P521, "another curve"),
        ("-----BEGIN CERTIFICATE-----", "use PUBLIC KEY"),
        ("-----BEGIN PUBLIC KEY-----", "does not end"),
        ("{}", "no JSON Web Key Set"),
        ("{\"keys\": []}", "no public key"),
        (
            "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}",
            "no public key",
        ),
        (
            "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"AQAB\", \"e\": \"AQAB\"}]}",
            "no public key",
        ),
    ] {
        let why = jwks::read(text).err().unwrap();
        assert!(why.contains(says), "{text}: {why}");
    }
}

#[test]
fn keys_of_a_set_are_for_what_the_set_says() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = |more: &str| {
        let key = format!("{{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"{x}\"{more}}}");
        jwks::read(&format!("{{\"keys\": [{key}]}}")).map(|keys| keys.len())
    };
    assert_eq!(key(""), Ok(1));
    assert_eq!(
        key(", \"use\": \"sig\", \"alg\": \"EdDSA\", \"kid\": \"a\""),
        Ok(1)
    );
    assert_eq!(key(", \"key_ops\": [\"verify\"]"), Ok(1));
    for more in [
        ", \"use\": \"enc\"",
        ", \"key_ops\": [\"sign\"]",
        ", \"alg\": \"HS256\"",
        ", \"alg\": \"RS256\"",
        ", \"kid\": 7",
    ] {
        assert!(key(more).is_err(), "{more}");
    }
}

#[test]
fn a_header_asks_for_nothing_that_we_do_not_know() {
    let algorithm = |text: &str| {
        let header: Header = serde_json::from_str(text).ok()?;
        header.algorithm().ok()
    };
    for text in [
        r#"{"alg": "ES256"}"#,
        r#"{"alg": "EdDSA", "typ": "at+JWT", "kid": "a", "jku": 7, "jwk": []}"#,
    ] {
        assert!(algorithm(text).is_some(), "{text}");
    }
    for text in [
        r#"{"alg": "none"}"#,
        r#"{"alg": "HS256"}"#,
        r#"{"alg": "ES512"}"#,
        r#"{"alg": ["ES256"]}"#,
        r#"{"alg": "ES256", "crit": null}"#,
        r#"{"alg": "ES256", "typ": "secevent+jwt"}"#,
        r#"{"typ": "JWT"}"#,
        "[]",
    ] {
        assert!(algorithm(text).is_none(), "{text}");
    }
}

#[test]
fn a_claim_of_another_type_is_no_claim() {
    let claims = |more: &str| {
        let text =
            format!("{{\"iss\": \"i\", \"aud\": [\"a\"], \"sub\": \"s\", \"nbf\": 1.5{more}}}");
        serde_json::from_str::<Claims>(&text)
    };
    let good = claims(", \"exp\": 2.9e9, \"account_id\": \"acme\"").unwrap();
    assert_eq!(
        (good.not_before.at(), good.expires.at()),
        (1, 2_900_000_000)
    );
    assert_eq!(good.account.unwrap().as_str(), "acme");
    assert!(good.audience.names("a") && !good.audience.names("b"));
    for more in [
        "",
        ", \"exp\": \"2900000000\"",
        ", \"exp\": -1",
        ", \"exp\": 1e40",
        ", \"exp\": 1, \"exp\": 2",
        ", \"exp\": 1, \"account_id\": null",
        ", \"exp\": 1, \"account_id\": \"a/b\"",
        ", \"exp\": 1, \"scope\": [\"status:read\"]",
    ] {
        assert!(claims(more).is_err(), "{more}");
    }
}

#[test]
fn scopes_are_whole_words_with_spaces_between_them() {
    assert_eq!(Scope::of("status:read  audit:read x").len(), 2);
    for none in [
        "",
        "status",
        "status:read,audit:read",
        "STATUS:READ",
        "status:read\n",
    ] {
        assert!(Scope::of(none).is_empty(), "{none}");
    }
}
