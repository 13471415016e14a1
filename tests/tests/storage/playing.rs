//! Signed URLs: what they read, and for how long.

use std::time::Duration;

use http::StatusCode;
use recording::{DestinationOwner, Fault};
use storage::{Overrides, Reading, SignedUrl};

use super::setting::{BUCKET, OWNER, ROLE, Setting, noise, s3, sent};
use callferry_tests::s3::{Identity, Operation, Policy};

const HOUR: Duration = Duration::from_secs(3600);

/// What is had with nothing but the URL.
struct Got {
    status: StatusCode,
    kind: String,
    disposition: String,
    cache: String,
    range: String,
    bytes: Vec<u8>,
}

async fn get(url: &SignedUrl, range: Option<&str>) -> Got {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(url.reveal());
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name);
        value.map_or_else(String::new, |it| it.to_str().unwrap().to_owned())
    };
    Got {
        status: answer.status(),
        kind: header("content-type"),
        disposition: header("content-disposition"),
        cache: header("cache-control"),
        range: header("content-range"),
        bytes: answer.bytes().await.unwrap().to_vec(),
    }
}

async fn signed(
    it: &Setting,
    recording: &str,
    (version_id, life): (Option<&str>, Duration),
    overrides: &Overrides,
) -> Result<SignedUrl, Fault> {
    let key = it.key(recording);
    let reading = Reading {
        key: &key,
        version_id,
        life,
        overrides,
    };
    let account = "acme".parse().unwrap();
    let players = it.stores.players();
    players.signed_get(&it.destination, &account, reading).await
}

#[tokio::test]
async fn a_url_plays_the_object_and_any_part_of_it_under_the_name_it_was_given() {
    let it = Setting::start().await;
    let bytes = noise(100_000, 5);
    sent(it.send("rec", &bytes).await);
    let overrides = Overrides {
        content_type: Some("audio/x-wav; charset=\"a b\"".to_owned()),
        content_disposition: Some("inline; filename=\"call 19+.wav\"".to_owned()),
        cache_control: Some("private, no-store".to_owned()),
    };
    let url = signed(&it, "rec", (None, Duration::from_secs(300)), &overrides).await;
    let url = url.unwrap();
    assert_eq!(url.life(), Duration::from_secs(300));
    let whole = get(&url, None).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.bytes, bytes);
    assert_eq!(whole.kind, "audio/x-wav; charset=\"a b\"");
    assert!(
        whole.disposition.contains("call 19+"),
        "{}",
        whole.disposition
    );
    assert_eq!(whole.cache, "private, no-store");
    let part = get(&url, Some("bytes=1000-1999")).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes, bytes[1000..2000]);
    assert_eq!(part.range, "bytes 1000-1999/100000");
    assert!(!format!("{url:?}").contains("Signature"));
    // It is good for this object and this question only.
    let other = url.reveal().replace("rec.wav", "rec2.wav");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(other).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = client.delete(url.reveal()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_url_reads_out_of_nobody_elses_bucket() {
    let mut it = Setting::start().await;
    sent(it.send("rec", b"ours").await);
    let none = Overrides::default();
    s3(&mut it.destination).expected_owner = Some(OWNER.to_owned());
    it.destination.revision += 1;
    let url = signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    assert_eq!(get(&url, None).await.bytes, b"ours");
    // Whose it must be is signed as well.
    let name = format!("x-amz-expected-bucket-owner={OWNER}");
    assert!(url.reveal().contains(&name));
    let without = url.reveal().replace(&name, "x-amz-expected-bucket-owner=");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(without).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    // The bucket was deleted, and somebody else made one of its name.
    s3(&mut it.destination).expected_owner = Some("999988887777".to_owned());
    it.destination.revision += 1;
    let url = signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    assert_eq!(get(&url, None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_url_of_a_version_plays_that_version() {
    let mut it = Setting::start().await;
    it.lab.create_versioned_bucket("kept", OWNER).unwrap();
    s3(&mut it.destination).bucket = "kept".to_owned();
    let all = Policy::everything();
    assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
    sent(it.send("rec", b"first").await);
    let Ok(recording::Look::Present(seen)) = it.look("rec").await else {
        panic!("nothing to see");
    };
    let key = it.key("rec");
    it.lab
        .overwrite_object("kept", key.as_str(), b"other")
        .unwrap();
    let version = seen.version_id.as_deref();
    let none = Overrides::default();
    let pinned = signed(&it, "rec", (version, HOUR), &none).await.unwrap();
    assert_eq!(get(&pinned, None).await.bytes, b"first");
    let newest = signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    assert_eq!(get(&newest, None).await.bytes, b"other");
}

#[tokio::test]
async fn a_url_lives_no_longer_than_the_session_that_signed_it() {
    let it = Setting::start().await;
    sent(it.send("rec", b"x").await);
    let none = Overrides::default();
    let url = signed(&it, "rec", (None, 100 * HOUR), &none).await.unwrap();
    assert!(
        url.life() <= HOUR && url.life() > HOUR / 2,
        "{:?}",
        url.life()
    );
    assert_eq!(get(&url, None).await.status, StatusCode::OK);
    // What was signed with it ends with it.
    it.lab.expire_sessions();
    assert_eq!(get(&url, None).await.status, StatusCode::BAD_REQUEST);
    let account = "acme".parse().unwrap();
    it.stores
        .players()
        .refused(&it.destination, &account)
        .unwrap();
    let url = signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    assert_eq!(get(&url, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_would_end_too_soon_is_renewed_before_it_signs() {
    let mut it = Setting::start().await;
    it.lab.force_session_lifetime(Some(Duration::from_secs(4)));
    sent(it.send("rec", b"x").await);
    let none = Overrides::default();
    signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    let asked = it.lab.count(Operation::AssumeRole);
    tokio::time::sleep(Duration::from_millis(2200)).await;
    it.lab.force_session_lifetime(None);
    let url = signed(&it, "rec", (None, HOUR), &none).await.unwrap();
    assert_eq!(it.lab.count(Operation::AssumeRole), asked + 1);
    assert!(url.life() > HOUR / 2, "{:?}", url.life());
    // Nobody's but the account's own.
    it.destination.owner = DestinationOwner::Account("beta".parse().unwrap());
    assert!(signed(&it, "rec", (None, HOUR), &none).await.is_err());
}

#[tokio::test]
async fn our_own_keys_sign_for_as_long_as_is_wished_up_to_a_week() {
    let mut it = Setting::start().await;
    let own = Policy::bucket(BUCKET, "", &["s3:PutObject", "s3:GetObject"]);
    let identity = Identity::new("AKIDPLATFORM", "platform-secret").named("callferry");
    it.lab.put_identity(identity.allowed(own));
    it.destination.owner = DestinationOwner::Default;
    it.destination.account_leads_key = true;
    s3(&mut it.destination).role_arn = None;
    sent(it.send("rec", b"x").await);
    let none = Overrides::default();
    let url = signed(&it, "rec", (None, 2 * HOUR), &none).await.unwrap();
    assert_eq!(url.life(), 2 * HOUR);
    assert_eq!(get(&url, None).await.bytes, b"x");
    let url = signed(&it, "rec", (None, 1000 * HOUR), &none)
        .await
        .unwrap();
    assert_eq!(url.life(), 168 * HOUR);
    assert_eq!(get(&url, None).await.bytes, b"x");
}
