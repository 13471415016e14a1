//! What is read of keys, headers and claims; that whole tokens are believed or not is shown on the
//! real server (`tests/tests/http`).

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, Utc};
use recording::Clock;
use telemetry::{Metrics, TokenRefusal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claims::{Claims, Header};
use super::jwks::{self, Algorithm};
use super::keys::{Keys, Source};
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

/// A clock that a test sets, in seconds.
#[derive(Debug, Default)]
struct Watch(AtomicU64);

impl Clock for Watch {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
    fn boot(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_no_reading_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.pem");
    std::fs::write(&path, ED25519).unwrap();
    let watch = Arc::new(Watch::default());
    let clock = Arc::<Watch>::clone(&watch);
    let keys = Keys::new(Source::File(path.clone()), clock, Metrics::new().unwrap());
    let keys = Arc::new(keys);
    let (keeper, stop) = (Arc::clone(&keys), CancellationToken::new());
    let (mut tasks, stopped) = (JoinSet::new(), stop.clone());
    tasks.spawn(async move { keeper.keep(stopped).await });
    let is_known = |algorithm| !keys.find(None, algorithm).is_empty();
    let becomes_known = async |algorithm| {
        for _ in 0..1000 {
            if is_known(algorithm) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{algorithm:?} is not known");
    };
    becomes_known(Algorithm::EdDSA).await;

    std::fs::write(&path, P256).unwrap();
    // Just read: nothing is read again, and nobody waits.
    keys.look_again().await;
    assert!(!is_known(Algorithm::ES256));
    watch.0.store(100, Ordering::Relaxed);
    tokio::select! {
        biased;
        () = keys.look_again() => {}
        () = ready(()) => {}
    }
    becomes_known(Algorithm::ES256).await;
    assert!(!is_known(Algorithm::EdDSA));
    // Who stays finds what is there when the wait is over.
    std::fs::write(&path, ED25519).unwrap();
    watch.0.store(200, Ordering::Relaxed);
    keys.look_again().await;
    assert!(is_known(Algorithm::EdDSA));
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[test]
fn a_cookie_is_found_among_others_whatever_they_are() {
    let found = |lines: &[&[u8]]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        super::baked(&headers, "play").map(str::to_owned)
    };
    for lines in [
        &[b"play=a.b.c".as_slice()][..],
        &[b"name=J\xf6rg; play=a.b.c; x=\xff"],
        &[b"theme=dark; players=1;  play=a.b.c ", b"other=\xc3\xa4"],
    ] {
        assert_eq!(found(lines).unwrap(), "a.b.c");
    }
    let missing: &[&[u8]] = &[b"play", b"xplay=a; player=b"];
    assert_eq!(found(missing), Err(TokenRefusal::Missing));
    assert_eq!(found(&[]), Err(TokenRefusal::Missing));
    assert_eq!(found(&[b"play=a; play=b"]), Err(TokenRefusal::Missing));
    assert_eq!(found(&[b"play=\xf6"]), Err(TokenRefusal::Malformed));
}
