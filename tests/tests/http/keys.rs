//! The issuer's keys: published, rotated, withdrawn, away, and asked for by floods of tokens.

use anyhow::Result;
use callferry_tests::issuer::{Algorithm, IssuerKey, KeyAnswer, KeyPlace, claims};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::served::{LONG, ask, start, variables};

async fn status(root: &str, key: &IssuerKey, header: Value) -> Result<u16> {
    let algorithm: Algorithm = header["alg"].as_str().unwrap_or_default().parse()?;
    let token = key.sign(algorithm, &header, &claims("tester", None, "accounts:read"))?;
    let bearer = format!("Bearer {token}");
    let answered = ask(
        root,
        "GET /v1/accounts",
        &[("authorization", &bearer)],
        None,
    )
    .await?;
    Ok(answered.status)
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn published_keys_are_found_by_their_id_and_a_flood_of_others_costs_one_look() -> Result<()> {
    let scratch = Scratch::new("http-keys")?;
    let platform = Platform::start(scratch.path()).await?;
    let (old, new) = (
        IssuerKey::new(Algorithm::EdDSA)?,
        IssuerKey::new(Algorithm::ES256)?,
    );
    let shared = json!({"kty": "oct", "kid": "shared", "k": "c2VjcmV0"});
    let encryption = {
        let mut key = new.jwk("encryption")?;
        key["use"] = json!("enc");
        key
    };
    let of_old = || {
        KeyAnswer::Keys(vec![
            old.jwk("old").unwrap(),
            shared.clone(),
            encryption.clone(),
        ])
    };
    let place = KeyPlace::start(of_old()).await?;
    let (member, root) = start(&platform, &place.url(), &[]).await?;
    assert_eq!(
        status(&root, &old, json!({"alg": "EdDSA", "kid": "old"})).await?,
        200
    );
    assert_eq!(status(&root, &old, json!({"alg": "EdDSA"})).await?, 200);
    assert_eq!(
        status(&root, &new, json!({"alg": "ES256", "kid": "encryption"})).await?,
        401
    );
    assert_eq!(
        status(&root, &old, json!({"alg": "EdDSA", "kid": "encryption"})).await?,
        401
    );

    let before = place.asked();
    let new = std::sync::Arc::new(new);
    let mut flood = JoinSet::new();
    for number in 0..200 {
        let (root, new) = (root.clone(), std::sync::Arc::clone(&new));
        let header = json!({"alg": "ES256", "kid": format!("unknown-{number}")});
        flood.spawn(async move { status(&root, &new, header).await });
    }
    while let Some(done) = flood.join_next().await {
        assert_eq!(done??, 401);
    }
    let asked = place.asked() - before;
    assert!(asked <= 2, "{asked} looks for 200 tokens");

    // The issuer goes away: the last good keys stay, whatever it answers instead.
    for answer in [
        KeyAnswer::Status(503),
        KeyAnswer::Text("no keys".to_owned()),
        KeyAnswer::Keys(vec![]),
        KeyAnswer::Text("x".repeat(300 * 1024)),
        KeyAnswer::Elsewhere("http://127.0.0.1:1/keys".to_owned()),
    ] {
        place.answers(answer);
        assert_eq!(
            status(&root, &old, json!({"alg": "EdDSA", "kid": "old"})).await?,
            200
        );
    }
    // Rotated: the new key is found within the half minute in which nothing is asked again.
    place.answers(KeyAnswer::Keys(vec![new.jwk("new")?]));
    patience::until("the new key is believed", LONG, async || {
        let seen = status(&root, &new, json!({"alg": "ES256", "kid": "new"})).await?;
        Ok((seen == 200).then_some(()))
    })
    .await?;
    assert_eq!(
        status(&root, &old, json!({"alg": "EdDSA", "kid": "old"})).await?,
        401
    );
    let read = member
        .metric("callferry_http_key_readings_total", "result=\"ok\"")
        .await?;
    assert!((2.0..6.0).contains(&read), "{read}");
    Ok(())
}

#[tokio::test]
async fn without_keys_nobody_is_judged_and_a_process_says_that_it_waits() -> Result<()> {
    let scratch = Scratch::new("http-no-keys")?;
    let platform = Platform::start(scratch.path()).await?;
    let key = IssuerKey::new(Algorithm::EdDSA)?;
    let place = KeyPlace::start(KeyAnswer::Elsewhere("http://127.0.0.1:1/".to_owned())).await?;
    let address = format!("127.0.0.1:{}", callferry_tests::ports::free_port()?);
    let all = variables(&address, &place.url());
    let all: Vec<_> = all.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut member = platform.fleet.start_with("waiting", &["playback"], &all)?;
    let root = format!("http://{address}");
    patience::until("it answers that it cannot judge", LONG, async || {
        member.runs()?;
        let header = json!({"alg": "EdDSA", "kid": "x"});
        Ok((status(&root, &key, header).await.ok() == Some(503)).then_some(()))
    })
    .await?;
    let (ready, text) = member.page("/readyz").await?;
    assert!(ready == 503 && text.contains("token keys"), "{text}");
    place.answers(KeyAnswer::Keys(vec![key.jwk("x")?]));
    member.ready(LONG).await?;
    assert_eq!(
        status(&root, &key, json!({"alg": "EdDSA", "kid": "x"})).await?,
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_holds_no_public_keys_ends_the_process_with_what_would_help() -> Result<()> {
    let scratch = Scratch::new("http-key-files")?;
    let platform = Platform::start(scratch.path()).await?;
    let private = IssuerKey::new(Algorithm::EdDSA)?.private_pem();
    for (what, text, says) in [
        ("private", private.as_str(), "private key"),
        ("empty", "", "no public key"),
        (
            "rubbish",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "none of",
        ),
        ("no-keys", "{\"keys\": []}", "no public key"),
        (
            "shared",
            "{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}]}",
            "no public key",
        ),
    ] {
        let file = scratch.path().join(what);
        std::fs::write(&file, text)?;
        let address = format!("127.0.0.1:{}", callferry_tests::ports::free_port()?);
        let all = variables(&address, &file.display().to_string());
        let all: Vec<_> = all.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let mut member = platform.fleet.start_with(what, &["playback"], &all)?;
        let ended = member.wait(LONG).await?;
        let log = member.log_text()?;
        assert_eq!(ended.code(), Some(2), "{what}: {log}");
        assert!(
            log.contains(says) && log.contains("\nhint: "),
            "{what}: {log}"
        );
    }
    Ok(())
}
