//! The same main path against moto with enforcement: signatures, AssumeRole with an external id
//! and session policies as somebody else understood them.

use recording::{Look, ParkReason};
use storage::{BaseIdentity, StoreSettings};

use super::setting::{EXTERNAL_ID, GRANTED, Setting, noise, refused, sent, settings};
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Moto;
use callferry_tests::servers::moto;

#[tokio::test]
async fn moto_lets_us_in_with_the_right_external_id_and_not_with_a_wrong_one() {
    let scratch = Scratch::new("storage-moto").unwrap();
    let Some(moto) = Moto::start(scratch.path()).await.unwrap() else {
        return;
    };
    let actions: Vec<&str> = GRANTED.into_iter().chain(["s3:ListBucket"]).collect();
    let wish = moto::Setting {
        bucket: "calls",
        external_id: EXTERNAL_ID,
        actions: &actions,
        prefix: "",
    };
    let identities = moto.set_up(&wish).await.unwrap();
    let mut it = Setting::start().await;
    let endpoint = moto.endpoint();
    let key = &identities.access_key_id;
    let secret = &identities.secret_access_key;
    let there = StoreSettings {
        base_identity: BaseIdentity::fixed(key, secret),
        ..settings(&endpoint)
    };
    it.stores = super::setting::stores(there);
    super::setting::s3(&mut it.destination).endpoint = Some(endpoint);
    super::setting::s3(&mut it.destination).role_arn = Some(identities.role_arn);

    assert_eq!(it.look("rec").await, Ok(Look::Absent));
    let digests = sent(it.send("rec", &noise(100_000, 41)).await);
    it.prove("rec", digests).await.unwrap();
    super::setting::unclear(it.send("rec", b"other").await);
    it.prove("rec", digests).await.unwrap();

    it.destination.revision = 9;
    it.destination.external_id = Some("cf-wrong".to_owned());
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::RoleNotAssumable);
    let wrong = StoreSettings {
        base_identity: BaseIdentity::fixed(key, "guess"),
        ..settings(&moto.endpoint())
    };
    it.destination.external_id = Some(EXTERNAL_ID.to_owned());
    it.stores = super::setting::stores(wrong);
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
}
