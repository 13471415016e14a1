//! What a destination may say beside where it is: how new objects are written, and identities that
//! have no secret.

use catalog::AdminFault;
use recording::{AzureIdentity, Encryption, ObjectTags, S3Bucket, S3Options, Store};

use super::clouds::container;
use super::world::{World, announced, at, bucket};

fn tags(pairs: &[(&str, &str)]) -> ObjectTags {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ObjectTags::new(pairs.iter().map(owned)).unwrap()
}

/// Each differs from the one before in one word.
fn revisions() -> Vec<S3Bucket> {
    let plain = bucket("acme-bucket");
    let with = |options: S3Options| S3Bucket {
        options,
        ..plain.clone()
    };
    let own = S3Options {
        sse: Some(Encryption::S3),
        ..S3Options::default()
    };
    let kms = S3Options {
        sse: Some(Encryption::Kms),
        ..S3Options::default()
    };
    let keyed = S3Options {
        bucket_key: true,
        ..kms.clone()
    };
    let tagged = S3Options {
        tags: tags(&[("team", "sales"), ("Büro", "")]),
        ..keyed.clone()
    };
    let retagged = S3Options {
        tags: tags(&[("team", "sales"), ("Büro", "1")]),
        ..keyed.clone()
    };
    let given = S3Options {
        bucket_owner_full_control: true,
        ..retagged.clone()
    };
    let options = [own, kms, keyed, tagged, retagged, given];
    let mut all = vec![plain.clone()];
    all.extend(options.map(with));
    all
}

#[tokio::test]
async fn every_word_about_new_objects_is_kept_shown_and_makes_a_revision() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    for (number, bucket) in revisions().into_iter().enumerate() {
        let view = world.set("acme", &bucket).await.unwrap();
        assert_eq!(view.revision, i64::try_from(number).unwrap() + 1);
        let store = Store::S3(bucket);
        assert_eq!(view.store, store);
        let again = world.set_store("acme", &store).await.unwrap();
        assert_eq!(again.revision, view.revision, "nothing changed");
        let mut event = announced(&format!("rec-{number}"));
        event.completed_at = at("2199-01-01T00:00:00Z");
        let grant = world.granted(&event).await;
        assert_eq!(grant.staged.destination().store, store);
    }
    let owner = super::world::owner("acme");
    let shown = world.catalog.show_destination(&owner).await.unwrap();
    let shown = serde_json::to_value(&shown).unwrap();
    assert_eq!(shown["sse"], "kms");
    assert_eq!(shown["bucket_key"], true);
    assert_eq!(shown["bucket_owner_full_control"], true);
    assert_eq!(
        shown["tags"],
        serde_json::json!({"team": "sales", "Büro": "1"})
    );
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_also_by_the_database() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let mut bad = vec![bucket("acme-bucket"); 2];
    bad[0].kms_key = Some("alias/k".to_owned());
    bad[0].options.sse = Some(Encryption::S3);
    bad[1].options.bucket_key = true;
    for bucket in &bad {
        match world.set("acme", bucket).await {
            Err(AdminFault::Refused { hint, .. }) => assert!(!hint.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    let common = "account_id, prefix, place, account_leads_key, external_id, in_force_from, cloud";
    let values = "'acme', '', 'p', false, 'x', now()";
    let azure = "storage_account, container, identity";
    let sealed = "gen_random_uuid(), 'k', sha256('x') || sha256('y')";
    let secret = "secret_id, secret_key_id, secret_sealed";
    for (columns, more) in [
        (
            "bucket, region, sse".to_owned(),
            "'s3', 'b', 'r', 'aes'".to_owned(),
        ),
        (
            "bucket, region, tags".to_owned(),
            "'s3', 'b', 'r', '[]'".to_owned(),
        ),
        (
            "bucket, region, kms_key, sse".to_owned(),
            "'s3', 'b', 'r', 'k', 's3'".to_owned(),
        ),
        (
            format!("{azure}, sse"),
            "'azure', 'a', 'c', 'managed_identity', 's3'".to_owned(),
        ),
        (
            format!("{azure}, bucket_key"),
            "'azure', 'a', 'c', 'managed_identity', true".to_owned(),
        ),
        (
            azure.to_owned(),
            "'azure', 'a', 'c', 'federated'".to_owned(),
        ),
        (azure.to_owned(), "'azure', 'a', 'c', 'sas'".to_owned()),
        (
            format!("{azure}, tenant_id, client_id, {secret}"),
            format!("'azure', 'a', 'c', 'federated', 't', 'c', {sealed}"),
        ),
        (
            format!("{azure}, {secret}"),
            format!("'azure', 'a', 'c', 'managed_identity', {sealed}"),
        ),
        (
            format!("{azure}, tenant_id, client_id"),
            "'azure', 'a', 'c', 'managed_identity', 't', 'c'".to_owned(),
        ),
    ] {
        let insert =
            format!("insert into destinations ({common}, {columns}) values ({values}, {more})");
        let error = world.try_sql(&insert).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("check constraint"), "{insert}: {error}");
    }
}

#[tokio::test]
async fn identities_without_a_secret_are_kept_without_a_key_ring() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let federated = |client: &str| AzureIdentity::Federated {
        tenant_id: "acme.example".to_owned(),
        client_id: client.to_owned(),
    };
    let managed = |client: Option<&str>| AzureIdentity::ManagedIdentity {
        client_id: client.map(str::to_owned),
    };
    let identities = [
        federated("app-1"),
        federated("app-2"),
        managed(None),
        managed(Some("machine-1")),
    ];
    for (number, identity) in identities.into_iter().enumerate() {
        let word = identity.as_str();
        let store = container("acmestore", "calls", identity);
        let view = world.set_store("acme", &store).await.unwrap();
        assert_eq!(view.revision, i64::try_from(number).unwrap() + 1);
        assert_eq!(view.store, store);
        let again = world.set_store("acme", &store).await.unwrap();
        assert_eq!(again.revision, view.revision, "nothing changed");
        let shown = serde_json::to_value(&view).unwrap();
        assert_eq!(shown["identity"]["identity"], word);
        let mut event = announced(&format!("rec-{number}"));
        event.completed_at = at("2199-01-01T00:00:00Z");
        let grant = world.granted(&event).await;
        assert_eq!(grant.staged.destination().store, store);
    }
    for bad in [federated("a b"), federated(""), managed(Some("a&b=c"))] {
        let store = container("acmestore", "calls", bad);
        let refused = world.set_store("acme", &store).await;
        assert!(
            matches!(refused, Err(AdminFault::Refused { .. })),
            "{refused:?}"
        );
    }
}
