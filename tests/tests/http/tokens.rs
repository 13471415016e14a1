//! Who is believed: each row of the table is one way to be somebody one is not (B42 to B45).

use std::collections::BTreeSet;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use callferry_tests::issuer::{AUDIENCE, Algorithm, IssuerKey, claims, sign_with_secret};
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};

use super::contract::assert_fits;
use super::served::{EVERYTHING, Served, ask, start};

const WHAT: &str = "GET /v1/accounts/acme";
/// Every algorithm that is allowed.
const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[tokio::test]
async fn each_allowed_algorithm_is_believed_by_its_own_key_and_by_no_other() -> Result<()> {
    let scratch = Scratch::new("http-algorithms")?;
    let platform = Platform::start(scratch.path()).await?;
    platform.json(&["account", "create", "acme"]).await?;
    let kinds = [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    let own: Vec<_> = kinds
        .into_iter()
        .map(IssuerKey::new)
        .collect::<Result<_>>()?;
    let others: Vec<_> = kinds
        .into_iter()
        .map(IssuerKey::new)
        .collect::<Result<_>>()?;
    let file = scratch.path().join("all.pem");
    let pems: String = own.iter().map(IssuerKey::public_pem).collect();
    std::fs::write(&file, pems)?;
    let (_member, root) = start(&platform, &file.display().to_string(), &[]).await?;
    for algorithm in ALLOWED {
        let name = format!("{algorithm:?}");
        let header = json!({"alg": name, "typ": "JWT", "kid": "any"});
        let claims = claims("tester", None, "accounts:read");
        let place = match name.as_str() {
            "ES256" => 1,
            "ES384" => 2,
            "EdDSA" => 3,
            _ => 0,
        };
        for (keys, status) in [(&own, 200), (&others, 401)] {
            let token = keys[place].sign(algorithm, &header, &claims)?;
            let bearer = format!("Bearer {token}");
            let answered = ask(&root, WHAT, &[("authorization", &bearer)], None).await?;
            assert_eq!(answered.status, status, "{name}: {}", answered.text);
        }
    }
    Ok(())
}

/// Claims with one of them changed, or taken away.
fn with(name: &str, value: Option<Value>) -> Value {
    let mut claims = claims("tester", None, EVERYTHING);
    let fields = claims.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

/// Tokens with bad claims, by what is wrong.
fn bad_claims() -> Vec<(&'static str, Value)> {
    let now = claims("x", None, "")["iat"].as_i64().unwrap();
    vec![
        ("no iss", with("iss", None)),
        (
            "another iss",
            with("iss", Some(json!("https://login.example.com/"))),
        ),
        (
            "iss as a list",
            with("iss", Some(json!([callferry_tests::issuer::ISSUER]))),
        ),
        ("no aud", with("aud", None)),
        ("another aud", with("aud", Some(json!("somebody-else")))),
        (
            "a longer aud",
            with("aud", Some(json!(format!("{AUDIENCE}x")))),
        ),
        ("aud of others", with("aud", Some(json!(["a", "b"])))),
        ("aud as a number", with("aud", Some(json!(1)))),
        ("no exp", with("exp", None)),
        (
            "exp as text",
            with("exp", Some(json!((now + 300).to_string()))),
        ),
        ("exp null", with("exp", Some(Value::Null))),
        ("exp true", with("exp", Some(json!(true)))),
        ("exp negative", with("exp", Some(json!(-1)))),
        ("exp beyond all numbers", with("exp", Some(json!(1e300)))),
        ("expired", with("exp", Some(json!(now - 31)))),
        ("no nbf", with("nbf", None)),
        ("nbf as text", with("nbf", Some(json!(now.to_string())))),
        ("nbf in the future", with("nbf", Some(json!(now + 120)))),
        (
            "nbf behind exp",
            with("nbf", Some(json!(now + 25))).tap_exp(now + 5),
        ),
        ("no sub", with("sub", None)),
        ("sub empty", with("sub", Some(json!("")))),
        ("sub too long", with("sub", Some(json!("x".repeat(257))))),
        ("sub with a line feed", with("sub", Some(json!("a\nb")))),
        ("sub as a number", with("sub", Some(json!(7)))),
        ("account null", with("account_id", Some(Value::Null))),
        ("account empty", with("account_id", Some(json!("")))),
        (
            "two accounts",
            with("account_id", Some(json!(["acme", "globex"]))),
        ),
        (
            "account as an object",
            with("account_id", Some(json!({"acme": true}))),
        ),
        (
            "account that is none",
            with("account_id", Some(json!("../acme"))),
        ),
        (
            "account homoglyph",
            with("account_id", Some(json!("\u{430}cme"))),
        ),
        (
            "scope as a list",
            with("scope", Some(json!(["accounts:read"]))),
        ),
    ]
}

trait TapExp {
    fn tap_exp(self, at: i64) -> Self;
}

impl TapExp for Value {
    fn tap_exp(mut self, at: i64) -> Self {
        self["exp"] = json!(at);
        self
    }
}

/// Tokens that must not be believed, by what is wrong with each.
fn attacks(served: &Served) -> Result<Vec<(String, String)>> {
    let key = &served.key;
    let plain = json!({"alg": "EdDSA", "typ": "JWT"});
    let good = claims("tester", None, EVERYTHING);
    let sign = |header: &Value, claims: &Value| key.sign(Algorithm::EdDSA, header, claims);
    let mut attacks: Vec<(String, String)> = Vec::new();
    for (what, claims) in bad_claims() {
        attacks.push((what.to_owned(), sign(&plain, &claims)?));
    }
    for alg in ["none", "None", "nOnE", ""] {
        let header = json!({"alg": alg, "typ": "JWT"});
        attacks.push((format!("alg {alg:?}, unsigned"), unsigned(&header, &good)));
        attacks.push((format!("alg {alg:?}, signed"), sign(&header, &good)?));
    }
    let public = key.public_pem();
    for alg in ["HS256", "HS384", "HS512"] {
        let header = json!({"alg": alg, "typ": "JWT"});
        let token = sign_with_secret(public.as_bytes(), &header, &good)?;
        attacks.push((format!("{alg} with the public key"), token));
    }
    for alg in [
        "ES256", "RS256", "PS256", "ES512", "ES256K", "eddsa", "Ed25519",
    ] {
        let header = json!({"alg": alg, "typ": "JWT"});
        attacks.push((format!("said to be {alg}"), sign(&header, &good)?));
    }
    let stranger = IssuerKey::new(Algorithm::EdDSA)?;
    let own = stranger.jwk("own")?;
    for (what, header) in [
        ("a stranger's", plain.clone()),
        ("jwk", json!({"alg": "EdDSA", "jwk": own})),
        (
            "jku",
            json!({"alg": "EdDSA", "jku": "http://127.0.0.1:1/keys"}),
        ),
        (
            "x5u",
            json!({"alg": "EdDSA", "x5u": "http://127.0.0.1:1/keys"}),
        ),
        ("x5c", json!({"alg": "EdDSA", "x5c": ["AAAA"]})),
        (
            "kid as a path",
            json!({"alg": "EdDSA", "kid": "../../dev/null"}),
        ),
        ("kid as SQL", json!({"alg": "EdDSA", "kid": "' or '1'='1"})),
    ] {
        let token = stranger.sign(Algorithm::EdDSA, &header, &good)?;
        attacks.push((format!("a stranger's key: {what}"), token));
    }
    for (what, header) in [
        ("crit", json!({"alg": "EdDSA", "crit": ["exp"]})),
        ("crit empty", json!({"alg": "EdDSA", "crit": []})),
        ("crit null", json!({"alg": "EdDSA", "crit": null})),
        (
            "b64",
            json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]}),
        ),
        ("another type", json!({"alg": "EdDSA", "typ": "JWE"})),
        ("kid as a number", json!({"alg": "EdDSA", "kid": 7})),
        (
            "kid too long",
            json!({"alg": "EdDSA", "kid": "x".repeat(257)}),
        ),
        ("no alg", json!({"typ": "JWT"})),
    ] {
        attacks.push((format!("header: {what}"), sign(&header, &good)?));
    }
    attacks.extend(torn(served, &good)?);
    Ok(attacks)
}

/// What is no token, or one that was tampered with.
fn torn(served: &Served, good: &Value) -> Result<Vec<(String, String)>> {
    let key = &served.key;
    let header = json!({"alg": "EdDSA", "typ": "JWT"});
    let token = key.sign(Algorithm::EdDSA, &header, good)?;
    let parts: Vec<_> = token.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let raised = BASE64_URL_SAFE_NO_PAD.encode(with("sub", Some(json!("root"))).to_string());
    let twice = |name: &str, first: &str, second: &str| {
        let text = good.to_string();
        let text = text.trim_end_matches('}');
        let doubled = format!("{text},\"{name}\":{first},\"{name}\":{second}}}");
        key.sign_text(Algorithm::EdDSA, &header.to_string(), &doubled)
    };
    let long = with("padding", Some(json!("x".repeat(8 * 1024))));
    Ok(vec![
        (
            "two accounts, one after the other".into(),
            twice("account_id", "\"acme\"", "\"globex\"")?,
        ),
        ("exp twice".into(), twice("exp", "1", "9999999999")?),
        (
            "claims changed".into(),
            format!("{head}.{raised}.{signature}"),
        ),
        (
            "signature cut".into(),
            format!("{head}.{body}.{}", &signature[..80]),
        ),
        ("no signature".into(), format!("{head}.{body}.")),
        ("two parts".into(), format!("{head}.{body}")),
        ("four parts".into(), format!("{token}.{signature}")),
        ("padded".into(), format!("{head}.{body}.{signature}==")),
        (
            "a space in it".into(),
            format!("{head}.{body} .{signature}"),
        ),
        (
            "claims as a list".into(),
            key.sign_text(Algorithm::EdDSA, &header.to_string(), "[]")?,
        ),
        (
            "claims no JSON".into(),
            key.sign_text(Algorithm::EdDSA, &header.to_string(), "exp=1")?,
        ),
        (
            "alg twice".into(),
            key.sign_text(
                Algorithm::EdDSA,
                "{\"alg\":\"none\",\"alg\":\"EdDSA\"}",
                &good.to_string(),
            )?,
        ),
        ("empty".into(), String::new()),
        ("dots".into(), "..".into()),
        ("huge".into(), key.sign(Algorithm::EdDSA, &header, &long)?),
    ])
}

#[tokio::test]
async fn nobody_is_believed_who_should_not_be_and_the_answer_is_always_the_same() -> Result<()> {
    let served = Served::new("http-tokens", &[]).await?;
    served.platform.json(&["account", "create", "acme"]).await?;
    served.ask(WHAT, None).await?.must(200);
    let mut answers = BTreeSet::new();
    for (what, token) in attacks(&served)? {
        let bearer = format!("Bearer {token}");
        let answered = ask(&served.root, WHAT, &[("authorization", &bearer)], None).await?;
        assert_eq!(answered.status, 401, "{what}: {}", answered.text);
        assert_fits(WHAT, &answered);
        assert!(
            !answered.text.contains(&token) || token.is_empty(),
            "{what}"
        );
        answers.insert(answered.essence());
    }
    let good = served.token(None, EVERYTHING)?;
    let bearer = format!("Bearer {good}");
    let query = format!("{WHAT}?access_token={good}");
    for (what, asked, headers) in [
        ("nothing", WHAT, vec![]),
        ("basic", WHAT, vec![("authorization", "Basic dTpw")]),
        ("bare", WHAT, vec![("authorization", good.as_str())]),
        (
            "twice",
            WHAT,
            vec![
                ("authorization", bearer.as_str()),
                ("authorization", &bearer),
            ],
        ),
        ("a cookie", WHAT, vec![("cookie", bearer.as_str())]),
        ("behind the question mark", query.as_str(), vec![]),
    ] {
        let answered = ask(&served.root, asked, &headers, None).await?;
        assert_eq!(answered.status, 401, "{what}");
        answers.insert(answered.essence());
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let refused = served
        .member
        .metric("callferry_http_tokens_refused_total", "")
        .await?;
    assert!(refused >= 80.0, "{refused}");
    for reason in [
        "missing",
        "malformed",
        "algorithm",
        "signature",
        "claims",
        "issuer",
        "audience",
        "expired",
        "not_yet",
    ] {
        let labels = format!("reason=\"{reason}\"");
        let one = served
            .member
            .metric("callferry_http_tokens_refused_total", &labels);
        assert!(one.await? >= 1.0, "{reason}");
    }
    let log = served.member.log_text()?;
    assert!(
        !log.contains(&good) && !log.contains("access_token"),
        "a token is in the log"
    );
    Ok(())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of all that is asked for")]
async fn what_is_foreign_and_what_is_not_there_are_one_and_the_same() -> Result<()> {
    let served = Served::new("http-foreign", &[]).await?;
    for account in ["acme", "globex"] {
        served
            .platform
            .json(&["account", "create", account])
            .await?;
    }
    let acme = served.token(Some("acme"), EVERYTHING)?;
    served.ask_as(&acme, WHAT, None).await?.must(200);
    let mut answers = BTreeSet::new();
    let destination = json!({"s3": {"bucket": "stolen-calls", "region": "eu-central-1",
        "role_arn": "arn:aws:iam::123456789012:role/x"}});
    let (why, reason) = (json!({"why": "x"}), json!({"reason": "x"}));
    let held = json!({"whole_account": true, "reason": "x"});
    for (what, body) in [
        ("GET /v1/accounts/globex", None),
        ("GET /v1/accounts/nobody", None),
        ("GET /v1/accounts/globex/destinations", None),
        ("GET /v1/accounts/globex/destination", None),
        ("GET /v1/accounts/acme/destination", None),
        (
            "PUT /v1/accounts/globex/destination",
            Some(destination.clone()),
        ),
        ("POST /v1/accounts/globex/destination/check", None),
        ("GET /v1/accounts/globex/recordings", None),
        ("GET /v1/accounts/globex/recordings/rec-1", None),
        ("GET /v1/accounts/nobody/recordings/rec-1", None),
        ("GET /v1/accounts/acme/recordings/rec-1", None),
        ("GET /v1/parked?account_id=globex", None),
        ("GET /v1/parked?account_id=nobody", None),
        (
            "POST /v1/parked/retry",
            Some(json!({"account_id": "globex"})),
        ),
        ("POST /v1/accounts", Some(json!({"account_id": "mine"}))),
        ("GET /v1/default-destination", None),
        ("GET /v1/default-destinations", None),
        ("PUT /v1/default-destination", Some(destination)),
        ("POST /v1/default-destination/check", None),
        ("GET /v1/quarantine", None),
        ("GET /v1/quarantine/1", None),
        ("POST /v1/quarantine/1/requeue", None),
        ("DELETE /v1/quarantine/1", None),
        ("GET /v1/status", None),
        ("GET /v1/audit?account_id=globex", None),
        ("GET /v1/accounts/globex/holds", None),
        ("GET /v1/accounts/nobody/holds", None),
        ("GET /v1/accounts/globex/holds/1", None),
        ("GET /v1/accounts/acme/holds/1", None),
        ("GET /v1/holds?account_id=globex", None),
        ("POST /v1/accounts/globex/holds", Some(held)),
        (
            "POST /v1/accounts/globex/holds/1/release",
            Some(reason.clone()),
        ),
        ("POST /v1/accounts/acme/holds/1/release", Some(reason)),
        (
            "POST /v1/accounts/globex/recordings/rec-1/erase",
            Some(why.clone()),
        ),
        (
            "POST /v1/accounts/acme/recordings/rec-1/erase",
            Some(why.clone()),
        ),
        ("GET /v1/accounts/globex/retention", None),
        ("GET /v1/accounts/globex/retention/preview", None),
        (
            "PUT /v1/accounts/globex/retention",
            Some(json!({"kind": "call", "days": 1})),
        ),
        (
            "POST /v1/accounts/globex/retention/confirm",
            Some(why.clone()),
        ),
        ("GET /v1/retention/stops?account_id=globex", None),
        ("POST /v1/retention/confirm", Some(why)),
    ] {
        let answered = served.ask_as(&acme, what, body).await?;
        assert_eq!(answered.status, 404, "{what}: {}", answered.text);
        answers.insert(answered.essence());
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let only = served
        .ask_as(&acme, "GET /v1/accounts", None)
        .await?
        .must(200);
    assert_eq!(only["items"].as_array().map(Vec::len), Some(1), "{only}");
    let foreign = served
        .member
        .metric("callferry_http_denied_total", "reason=\"foreign\"");
    assert!(foreign.await? >= 15.0);
    Ok(())
}
