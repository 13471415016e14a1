//! Signed URLs: by an account's key, by a user delegation key, and by nothing where there is only a
//! SAS of the customer's.

use std::time::Duration;

use http::StatusCode;
use recording::{Fault, ParkReason};
use storage::{Overrides, Reading, SignedUrl};

use callferry_tests::entra::{Entra, Mood};
use callferry_tests::scratch::Scratch;

use super::identities::{CLIENT, TENANT, over_https};
use super::setting::{STORAGE_ACCOUNT, Setting, access_key, principal, sent};
use super::staged::noise;

const HOUR: Duration = Duration::from_secs(3600);

async fn signed(it: &Setting, recording: &str, life: Duration) -> Result<SignedUrl, Fault> {
    let overrides = Overrides {
        content_type: Some("audio/x-wav".to_owned()),
        content_disposition: Some("inline; filename=\"call 19+.wav\"".to_owned()),
        cache_control: Some("private, no-store".to_owned()),
    };
    let key = it.key(recording);
    let reading = Reading {
        key: &key,
        version_id: None,
        life,
        overrides: &overrides,
    };
    let account = "acme".parse().unwrap();
    let players = it.stores.players();
    players.signed_get(&it.destination, &account, reading).await
}

/// Plays the whole and a part with nothing but the URL, and nothing else can be done with it.
async fn plays(it: &Setting, url: &SignedUrl, bytes: &[u8]) {
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(ca) = it.azurite.ca_file() {
        let pem = std::fs::read(ca).unwrap();
        client = client.tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()]);
    }
    let client = client.build().unwrap();
    let whole = client.get(url.reveal()).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK, "{:?}", whole.headers());
    let header = |name: &str| whole.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "audio/x-wav");
    assert_eq!(
        header("content-disposition"),
        "inline; filename=\"call 19+.wav\""
    );
    assert_eq!(header("cache-control"), "private, no-store");
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let part = client.get(url.reveal()).header("range", "bytes=10-19");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let gone = client.delete(url.reveal()).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::FORBIDDEN);
    let other = url.reveal().replace("rec.wav", "rec2.wav");
    let other = client.get(other).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_accounts_key_signs_urls_for_as_long_as_is_wished_up_to_a_week() {
    let Some(it) = Setting::start("azure-play-key").await else {
        return;
    };
    let bytes = noise(1000, 4);
    sent(it.send("rec", &bytes).await);
    let url = signed(&it, "rec", HOUR).await.unwrap();
    assert_eq!(url.life(), HOUR);
    plays(&it, &url, &bytes).await;
    let url = signed(&it, "rec", 1000 * HOUR).await.unwrap();
    assert_eq!(url.life(), 168 * HOUR);
    plays(&it, &url, &bytes).await;
}

#[tokio::test]
async fn a_sas_is_never_given_out() {
    let Some(mut it) = Setting::start("azure-play-sas").await else {
        return;
    };
    let sas = it.sas("rcw", 60);
    it.become_known_by(sas);
    let fault = signed(&it, "rec", HOUR).await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::CredentialRefused);
    assert!(fault.detail.contains("never given out"), "{fault}");
}

async fn with_entra(name: &str) -> Option<(Setting, Entra)> {
    over_https(Scratch::new(name).unwrap()).await
}

#[tokio::test]
async fn tokens_sign_urls_by_a_delegation_key_that_is_asked_for_once() {
    let Some((mut it, entra)) = with_entra("azure-play-token").await else {
        return;
    };
    let bytes = noise(1000, 4);
    sent(it.send("rec", &bytes).await);
    let many = (0..10).map(|_| signed(&it, "rec", HOUR));
    for url in futures::future::join_all(many).await {
        let url = url.unwrap();
        assert_eq!(url.life(), HOUR);
        assert!(url.reveal().contains("skoid=object-of-"), "a delegation's");
        assert!(!url.reveal().contains("eyJ"), "no token is given out");
        plays(&it, &url, &bytes).await;
    }
    // All with one key: they say when it was made.
    let made = |url: &SignedUrl| {
        let url = url::Url::parse(url.reveal()).unwrap();
        let start = url.query_pairs().find(|(name, _)| name == "skt");
        start.unwrap().1.into_owned()
    };
    let first = signed(&it, "rec", HOUR).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = signed(&it, "rec", HOUR).await.unwrap();
    assert_eq!(made(&first), made(&second));
    assert_eq!(entra.asked(), 1);
    // No longer than the key is good.
    let long = signed(&it, "rec", 1000 * HOUR).await.unwrap();
    assert!(long.life() <= 2 * HOUR && long.life() > HOUR);
    plays(&it, &long, &bytes).await;
    // Until somebody says that it is refused.
    let account = "acme".parse().unwrap();
    it.stores
        .players()
        .refused(&it.destination, &account)
        .unwrap();
    let third = signed(&it, "rec", HOUR).await.unwrap();
    assert_ne!(made(&first), made(&third));
    // Over https the account's key signs as well.
    let key = access_key(it.azurite.key(STORAGE_ACCOUNT));
    it.become_known_by(key);
    let url = signed(&it, "rec", HOUR).await.unwrap();
    plays(&it, &url, &bytes).await;
}

#[tokio::test]
async fn a_token_that_is_refused_costs_a_renewal_and_then_says_so() {
    let Some((mut it, entra)) = with_entra("azure-play-stale").await else {
        return;
    };
    entra.behave(Mood::Stale);
    let fault = signed(&it, "rec", HOUR).await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::CredentialRefused, "{fault}");
    assert_eq!(entra.asked(), 2);
    entra.behave(Mood::Well);
    it.become_known_by(principal(TENANT, CLIENT, "s3cret"));
    signed(&it, "rec", HOUR).await.unwrap();
}
