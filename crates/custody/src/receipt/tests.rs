//! Receipts that are right, and every way that we know to make a wrong one look right.

#![expect(
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "tables of attacks are as long as there are attacks, and cut where one would cut"
)]

use super::*;
use crate::PublicKey;

const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn statements() -> [Statement; 3] {
    // A map of `serde_json` has its keys in order, as a statement has.
    let read = |facts: Value| Statement::read(facts.to_string().as_bytes()).unwrap();
    let stored = |recording: &str| {
        read(json!({
            "account_id": "acme",
            "acknowledgment_id": "5f0f1c1e-3c8e-4c39-8d53-0f2f1a6f7d10",
            "checksum": "crc64nvme:2b6b1d1f0c4e8a97",
            "content_md5": null,
            "destination_revision": 12,
            "etag": "9b2c",
            "location": format!("s3://acme-recordings/calls/{recording}.wav"),
            "method": "reported_checksum",
            "recording_id": recording,
            "sha256": SHA256,
            "size_bytes": 1_920_044,
            "statement": "recording.stored.v1",
            "stored_at": "2026-11-22T10:00:07.123456Z",
            "version_id": "3sL4",
        }))
    };
    let expired = read(json!({
        "account_id": "acme",
        "destination_revision": 12,
        "expired_at": "2027-11-22T10:00:07Z",
        "expiry_id": "5f0f1c1e-3c8e-4c39-8d53-0f2f1a6f7d11",
        "location": "s3://acme-recordings/calls/rec-1.wav",
        "method": "no_version_at_the_key",
        "reason": "retention",
        "recording_id": "rec-1",
        "sha256": SHA256,
        "size_bytes": 1_920_044,
        "statement": "recording.expired.v1",
        "stored_at": "2026-11-22T10:00:07.123456Z",
        "version_id": "3sL4",
    }));
    [stored("rec-1"), stored("rec-2"), expired]
}

fn key() -> (SigningKey, TrustedKeys) {
    let key = SigningKey::generate().unwrap();
    let trusted = TrustedKeys::of(vec![key.public().clone()]);
    (key, trusted)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A receipt with this header and payload and a signature that fits both.
fn forged(key: &SigningKey, header: &Value, payload: &[u8]) -> String {
    let message = format!("{}.{}", encode(header.to_string()), encode(payload));
    format!(
        "{message}.{}",
        encode(key.sign(message.as_bytes()).unwrap())
    )
}

fn header(key: &SigningKey) -> Value {
    json!({ "alg": ALG, "kid": key.public().id(), "typ": TYP })
}

/// The event that carries a statement.
fn event(statement: &Statement, signed: &SignedReceipt) -> Value {
    let stated = strict_document(&statement.payload().unwrap()).unwrap();
    let mut receipt = stated.clone();
    let fields = receipt.as_object_mut().unwrap();
    for other in [
        "account_id",
        "acknowledgment_id",
        "destination_revision",
        "location",
        "recording_id",
        "statement",
        "content_md5",
    ] {
        fields.remove(other);
    }
    let id = match statement {
        Statement::Stored(it) => it.acknowledgment_id,
        Statement::Expired(it) => it.expiry_id,
    };
    if let Statement::Expired(_) = statement {
        return json!({
            "specversion": "1.0", "id": id, "type": "callferry.recording.expired.v1",
            "data": {
                "account_id": stated["account_id"], "recording_id": stated["recording_id"],
                "why": stated["reason"], "signed_receipt": signed,
            },
        });
    }
    json!({
        "specversion": "1.0", "id": id, "type": format!("callferry.{}", statement.name()),
        "data": {
            "account_id": stated["account_id"], "recording_id": stated["recording_id"],
            "destination_revision": stated["destination_revision"],
            "location": stated["location"], "receipt": receipt, "signed_receipt": signed,
        },
    })
}

#[test]
fn a_receipt_verifies_by_itself_as_a_text_and_in_its_event_and_is_the_same_each_time() {
    let (key, trusted) = key();
    for statement in statements() {
        let signed = sign(&statement, &key).unwrap();
        assert_eq!(sign(&statement, &key).unwrap(), signed);
        let expected = Receipt {
            statement: statement.clone(),
            key_id: key.public().id().to_owned(),
        };
        let event = event(&statement, &signed);
        for document in [
            signed.as_str().to_owned(),
            format!("\n{}\n", signed.as_str()),
            json!(signed).to_string(),
            event.to_string(),
            format!("{event:#}"),
        ] {
            let found = found_in(document.as_bytes(), &trusted);
            assert_eq!(found.as_ref(), Ok(&expected), "{document}");
        }
    }
}

#[test]
fn not_one_character_of_a_receipt_can_be_another() {
    let (key, trusted) = key();
    for statement in statements() {
        let signed = sign(&statement, &key).unwrap();
        let good = signed.as_str();
        for place in 0..good.len() {
            let mut bytes = good.as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&changed, &trusted).is_err(), "{place}: {changed}");
        }
        for length in 0..good.len() {
            assert!(verify(&good[..length], &trusted).is_err(), "{length}");
        }
    }
}

#[test]
fn a_fact_that_was_changed_in_the_payload_is_not_what_was_signed() {
    let (key, trusted) = key();
    for statement in statements() {
        let good = sign(&statement, &key).unwrap();
        let parts: Vec<_> = good.as_str().split('.').collect();
        let stated = strict_document(&statement.payload().unwrap()).unwrap();
        for (name, fact) in stated.as_object().unwrap() {
            let mut other = stated.clone();
            other[name] = match fact {
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::Null => json!("x"),
                _ => json!(format!("{}x", fact.as_str().unwrap())),
            };
            let swapped = format!("{}.{}.{}", parts[0], encode(other.to_string()), parts[2]);
            assert_eq!(
                verify(&swapped, &trusted),
                Err(Invalid::Signature),
                "{name}"
            );
        }
    }
}

#[test]
fn headers_of_others_are_refused_before_anything_is_believed() {
    let (key, trusted) = key();
    let (stranger, _) = self::key();
    let [one, two, _] = statements();
    let payload = one.payload().unwrap();
    let signed = sign(&one, &key).unwrap();
    let (message, signature) = signed.as_str().rsplit_once('.').unwrap();
    let mut table = Vec::new();
    let mut row = |what: &'static str, text: String, why: &'static str| {
        table.push((what, text, why));
    };
    let with = |name: &str, value: Value| {
        let mut header = header(&key);
        header[name] = value;
        forged(&key, &header, &payload)
    };
    for (what, alg) in [
        ("no algorithm", "none"),
        ("HMAC", "HS256"),
        ("another notation", "eddsa"),
        ("RSA", "RS256"),
        ("the other name", "Ed25519"),
    ] {
        row(what, with("alg", json!(alg)), "`alg`");
    }
    let none = json!({ "alg": "none", "kid": key.public().id(), "typ": TYP });
    let unsigned = format!("{}.{}.", encode(none.to_string()), encode(&payload));
    row("unsigned", unsigned, "`alg`");
    let hmac = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        PublicKey::pem(key.public()).as_bytes(),
    );
    let hs = json!({ "alg": "HS256", "kid": key.public().id(), "typ": TYP });
    let symmetric = format!("{}.{}", encode(hs.to_string()), encode(&payload));
    let tag = aws_lc_rs::hmac::sign(&hmac, symmetric.as_bytes());
    row(
        "HMAC with the public key",
        format!("{symmetric}.{}", encode(tag)),
        "`alg`",
    );
    row("an access token", with("typ", json!("at+jwt")), "`typ`");
    row("a plain token", with("typ", json!("JWT")), "`typ`");
    row(
        "a key that it brings along",
        with("jwk", stranger.public().jwk()),
        "a field",
    );
    row(
        "a place of keys",
        with("jku", json!("https://x")),
        "a field",
    );
    row("an extension", with("crit", json!(["b64"])), "a field");
    row("no key", with("kid", Value::Null), "`kid`");
    let twice = format!(
        r#"{{"alg":"EdDSA","alg":"none","kid":"{}","typ":"{TYP}"}}"#,
        "x"
    );
    row(
        "a field twice",
        format!("{}.{}.AA", encode(twice), encode(&payload)),
        "strict JSON",
    );
    row(
        "a stranger's",
        sign(&one, &stranger).unwrap().as_str().to_owned(),
        "not among",
    );
    let claims = forged(&stranger, &header(&key), &payload);
    row("a stranger's under our name", claims, "signature");
    let other = sign(&two, &key).unwrap();
    let (other_message, other_signature) = other.as_str().rsplit_once('.').unwrap();
    row(
        "another's signature",
        format!("{message}.{other_signature}"),
        "signature",
    );
    row(
        "another's payload",
        format!("{other_message}.{signature}"),
        "signature",
    );
    row("no signature", format!("{message}."), "signature");
    row(
        // Cut where base64url is whole: elsewhere it is refused as no base64url, most of the time.
        "half a signature",
        format!("{message}.{}", &signature[..44]),
        "signature",
    );
    row("padding", format!("{message}.{signature}=="), "base64url");
    row(
        "two receipts",
        format!("{}.{}", signed.as_str(), signed.as_str()),
        "base64url",
    );
    row("something else", "hello".to_owned(), "signature");
    row("too much", "x".repeat(MAX_EVENT_BYTES + 1), "larger");
    for (what, text, why) in table {
        let refused = verify(&text, &trusted).unwrap_err();
        assert!(refused.to_string().contains(why), "{what}: {refused}");
        assert_eq!(found_in(text.as_bytes(), &trusted), Err(refused), "{what}");
    }
}

#[test]
fn what_our_key_signed_and_is_no_statement_states_nothing() {
    let (key, trusted) = key();
    for payload in [
        &b"{}"[..],
        b"",
        br#"{"statement":"recording.stored.v1"}"#,
        br#"{"iss":"x","aud":"y","exp":9999999999,"scope":"accounts:write"}"#,
    ] {
        let refused = verify(&forged(&key, &header(&key), payload), &trusted).unwrap_err();
        assert!(matches!(refused, Invalid::Statement(_)), "{refused}");
    }
}

#[test]
fn an_event_must_say_what_its_receipt_states() {
    let (key, trusted) = key();
    let [one, two, expired] = statements();
    let signed = sign(&one, &key).unwrap();
    let good = event(&one, &signed);
    let changed = |place: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(place).unwrap() = value;
        event
    };
    let x = json!("x");
    for (place, value) in [
        ("/id", x.clone()),
        ("/type", json!("callferry.recording.expired.v1")),
        ("/data/account_id", x.clone()),
        ("/data/recording_id", x.clone()),
        ("/data/destination_revision", json!(13)),
        ("/data/location", x.clone()),
        ("/data/receipt/size_bytes", json!(1)),
        ("/data/receipt/sha256", x.clone()),
        ("/data/receipt/etag", x.clone()),
        ("/data/receipt/version_id", Value::Null),
        ("/data/receipt/checksum", x.clone()),
        ("/data/receipt/method", json!("read_back")),
        ("/data/receipt/stored_at", json!("2026-11-22T10:00:07Z")),
        ("/data/receipt", Value::Null),
    ] {
        let event = changed(place, value);
        let refused = found_in(event.to_string().as_bytes(), &trusted).unwrap_err();
        assert!(matches!(refused, Invalid::Differs(_)), "{place}: {refused}");
    }
    let mut added = good.clone();
    added["data"]["receipt"]["content_md5"] = x;
    // Another recording's receipt, and the receipt of its end.
    let swapped = [sign(&two, &key).unwrap(), sign(&expired, &key).unwrap()];
    for event in swapped
        .iter()
        .map(|other| changed("/data/signed_receipt", json!(other)))
        .chain([added])
    {
        let refused = found_in(event.to_string().as_bytes(), &trusted).unwrap_err();
        assert!(matches!(refused, Invalid::Differs(_)), "{refused}");
    }
    // The end of a copy has a shape of its own.
    let end = event(&expired, &sign(&expired, &key).unwrap());
    for (place, value) in [
        ("/id", json!("x")),
        ("/type", json!("callferry.recording.stored.v1")),
        ("/data/account_id", json!("x")),
        ("/data/recording_id", json!("x")),
        ("/data/why", json!("erasure")),
        ("/data/why", Value::Null),
    ] {
        let mut event = end.clone();
        *event.pointer_mut(place).unwrap() = value;
        let refused = found_in(event.to_string().as_bytes(), &trusted).unwrap_err();
        assert!(matches!(refused, Invalid::Differs(_)), "{place}: {refused}");
    }
    let mut without = good.clone();
    without["data"]
        .as_object_mut()
        .unwrap()
        .remove("signed_receipt");
    assert_eq!(
        found_in(without.to_string().as_bytes(), &trusted),
        Err(Invalid::Unsigned)
    );
    for (what, document) in [
        (
            "a key twice",
            good.to_string().replacen('{', "{\"id\":1,", 1),
        ),
        ("two documents", format!("{good}{good}")),
        ("no event", "{}".to_owned()),
        (
            "another's event",
            changed("/type", json!("other.v1")).to_string(),
        ),
        (
            "no text",
            changed("/data/signed_receipt", json!(1)).to_string(),
        ),
        ("too much", format!("{good}{}", " ".repeat(MAX_EVENT_BYTES))),
    ] {
        let refused = found_in(document.as_bytes(), &trusted).unwrap_err();
        assert!(
            matches!(refused, Invalid::NotAReceipt(_)),
            "{what}: {refused}"
        );
    }
    let refused = found_in(b"\xff", &trusted).unwrap_err();
    assert!(matches!(refused, Invalid::NotAReceipt(_)));
}
