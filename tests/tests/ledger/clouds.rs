//! Azure beside S3: what may be set, what is pinned, what is proven there, and who shares what.

use catalog::{AdminFault, KeyRing};
use recording::{
    Advance, AzureContainer, AzureIdentity, Block, CheckedWrite, Claimed, Crc64Nvme, Digests,
    Expected, Granted, Identity, Ledger, Method, Observed, Recording, ReleaseClaim, Secret, Sha256,
    Store, Stored, object_metadata,
};
use uuid::Uuid;

use super::world::{World, announced, at, bucket};

/// A SAS that the test's clock (2024-05-01) takes.
pub(crate) const SAS: &str = "sv=2023-11-03&sr=c&sp=rcl&se=2030-01-01T00%3A00Z&sig=c2FzLWNhbmFyeQ";

/// A container of Azure's own.
pub(crate) fn container(account: &str, name: &str, identity: AzureIdentity) -> Store {
    Store::Azure(AzureContainer {
        storage_account: account.to_owned(),
        container: name.to_owned(),
        endpoint: None,
        prefix: String::new(),
        identity,
    })
}

/// Who we are by a SAS.
pub(crate) fn sas(token: &str) -> AzureIdentity {
    AzureIdentity::Sas {
        sas_token: Secret::new(token.to_owned()),
    }
}

/// Who we are by a storage account's key.
pub(crate) fn access_key(key: &str) -> AzureIdentity {
    AzureIdentity::AccessKey {
        access_key: Secret::new(key.to_owned()),
    }
}

/// Who we are as an application.
pub(crate) fn principal(secret: &str) -> AzureIdentity {
    AzureIdentity::ServicePrincipal {
        tenant_id: "8c1f1d3e-0000-4000-8000-000000000001".to_owned(),
        client_id: "8c1f1d3e-0000-4000-8000-000000000002".to_owned(),
        client_secret: Secret::new(secret.to_owned()),
    }
}

/// A migrated database with accounts and a key ring.
pub(crate) async fn world_with_keys(accounts: &[&str]) -> (World, KeyRing) {
    let ring = KeyRing::generate().unwrap();
    let world = World::with(|settings| settings.keyring = Some(ring.clone())).await;
    for account in accounts {
        world.account(account).await;
    }
    (world, ring)
}

#[tokio::test]
async fn each_kind_of_identity_is_pinned_with_its_secret_and_shown_without_it() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let identities = [
        (sas(SAS), SAS),
        (access_key("Y2FuYXJ5LWtleQ=="), "Y2FuYXJ5LWtleQ=="),
        (principal("Q8~principal"), "Q8~principal"),
    ];
    for (n, (identity, secret)) in identities.into_iter().enumerate() {
        let store = container("acmestore", "calls", identity);
        let view = world.set_store("acme", &store).await.unwrap();
        assert_eq!(view.store, store);
        let shown = serde_json::to_value(&view).unwrap();
        assert_eq!(shown["cloud"], "azure");
        assert_eq!(shown["container"], "calls");
        assert!(!shown.to_string().contains(secret), "{shown}");
        assert!(!format!("{view:?}").contains(secret));

        let mut event = announced(&format!("rec-{n}"));
        event.completed_at = at("2199-01-01T00:00:00Z");
        let grant = world.granted(&event).await;
        assert_eq!(grant.staged.destination().revision, view.revision);
        assert_eq!(grant.staged.destination().store, store);
        // The same again is not a new revision: the secrets themselves are compared.
        let again = world.set_store("acme", &store).await.unwrap();
        assert_eq!(again.revision, view.revision);
    }
    let other = container("acmestore", "calls", principal("Q8~another"));
    let latest = world.set_store("acme", &other).await.unwrap();
    assert_eq!(latest.revision, 4);
}

#[tokio::test]
async fn an_s3_destination_is_shown_as_before_and_says_its_cloud() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let view = world.set("acme", &bucket("acme-bucket")).await.unwrap();
    let shown = serde_json::to_value(&view).unwrap();
    let fields = [
        "account_leads_key",
        "bucket",
        "bucket_key",
        "bucket_owner_full_control",
        "cloud",
        "credential_revision",
        "endpoint",
        "expected_owner",
        "external_id",
        "in_force_from",
        "kms_key",
        "owner",
        "prefix",
        "recordings_pinned",
        "region",
        "revision",
        "role_arn",
        "set_at",
        "sse",
        "storage_class",
        "tags",
    ];
    let named: Vec<&str> = shown
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(named, fields);
    assert_eq!(
        (&shown["cloud"], &shown["owner"]),
        (&"s3".into(), &"acme".into())
    );
}

#[tokio::test]
async fn an_account_that_moves_to_another_cloud_leaves_what_is_pinned_where_it_is() {
    let (world, _) = world_with_keys(&["acme"]).await;
    world.set("acme", &bucket("acme-bucket")).await.unwrap();
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    world
        .catalog
        .give_back(&event.key, &grant.lease)
        .await
        .unwrap();
    let store = container("acmestore", "calls", sas(SAS));
    world.set_store("acme", &store).await.unwrap();
    let grant = world.granted(&event).await;
    assert_eq!(
        grant.staged.destination().store,
        Store::S3(bucket("acme-bucket"))
    );
    let mut later = announced("rec-2");
    later.completed_at = at("2199-01-01T00:00:00Z");
    let grant = world.granted(&later).await;
    assert_eq!(grant.staged.destination().store, store);
}

#[tokio::test]
async fn two_accounts_share_a_container_only_where_their_keys_cannot_meet() {
    let (world, _) = world_with_keys(&["acme", "beta"]).await;
    let store = container("shared", "calls", sas(SAS));
    let first = world.set_store("acme", &store).await.unwrap();
    assert!(!first.account_leads_key);
    let named = |endpoint: &str, prefix: &str| {
        Store::Azure(AzureContainer {
            storage_account: "shared".to_owned(),
            container: "calls".to_owned(),
            endpoint: Some(endpoint.to_owned()),
            prefix: prefix.to_owned(),
            identity: access_key("a2V5"),
        })
    };
    // The same container, by another address and with another credential.
    let same = named("https://shared.blob.core.windows.net", "");
    let refused = world.set_store("beta", &same).await.unwrap_err();
    let why = refused.to_string();
    assert!(
        why.contains("among those of acme in az://shared/calls"),
        "{why}"
    );
    // Another server altogether.
    let emulated = named("https://127.0.0.1:10000/shared", "");
    let view = world.set_store("beta", &emulated).await.unwrap();
    assert!(!view.account_leads_key);
}

#[tokio::test]
async fn the_platforms_default_may_be_in_azure_where_accounts_lead_the_keys() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let store = container("platform", "calls", principal("x~y"));
    let view = world.set_store("default", &store).await.unwrap();
    assert!(view.account_leads_key);
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let destination = grant.staged.destination();
    assert_eq!(destination.store, store);
    assert_eq!(destination.key_prefix(&event.key.account_id), "acme/");
}

/// Names, prefixes and endpoints that would be ambiguous.
fn misnamed(good: &AzureContainer) -> Vec<AzureContainer> {
    type Change = fn(&mut AzureContainer, String);
    let rows: [(Change, &[&str]); 4] = [
        (
            |c, name| c.storage_account = name,
            &["a", "ab", "Acme", "acme-store", "acme.evil", "acme/x", ""],
        ),
        (
            |c, name| c.container = name,
            &[
                "ab", "Calls", "-calls", "calls-", "ca--lls", "a/b", "$root", "$web",
            ],
        ),
        (
            |c, prefix| c.prefix = prefix,
            &["/x", "x/", "x//y", "..", "x\\y", "x./y", "a b"],
        ),
        (
            |c, endpoint| c.endpoint = Some(endpoint),
            &[
                "",
                "blob.test",
                "ftp://blob.test",
                "https://",
                "https:///x",
                "https://blob.test/",
                "https://user@blob.test",
                "https://blob.test?x",
                "https://blob.test/#x",
                "https://blob.test/a b",
                "https://blob.test/a%2fb",
                "https://other.blob.core.windows.net",
                "https://acmestore-secondary.blob.core.windows.net",
            ],
        ),
    ];
    let mut bad = Vec::new();
    for (change, texts) in rows {
        for text in texts {
            let mut container = good.clone();
            change(&mut container, (*text).to_owned());
            bad.push(container);
        }
    }
    bad
}

/// Identities that could not serve.
fn unusable() -> Vec<AzureIdentity> {
    let mut bad = vec![
        access_key(""),
        access_key("not base64!"),
        access_key("AccountName=a;AccountKey=Y2FuYXJ5"),
        principal(""),
        principal("two words"),
        principal("line\n"),
        sas("sv=1&sp=rc&sig=x"),
        sas(&SAS.replace("2030", "2020")),
        AzureIdentity::Sas {
            sas_token: Secret::locked("k-1"),
        },
    ];
    for (tenant, client) in [
        ("common", "c"),
        ("Organizations", "c"),
        ("t/../x", "c"),
        ("..", "c"),
        ("", "c"),
        ("t", ""),
        ("t", "c&grant_type=x"),
    ] {
        bad.push(AzureIdentity::ServicePrincipal {
            tenant_id: tenant.to_owned(),
            client_id: client.to_owned(),
            client_secret: Secret::new("s".to_owned()),
        });
    }
    bad
}

#[tokio::test]
async fn an_azure_destination_that_would_be_ambiguous_or_useless_is_refused_with_a_hint() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let good = match container("acmestore", "calls", sas(SAS)) {
        Store::Azure(good) => good,
        Store::S3(_) => panic!("not Azure"),
    };
    let with_identity = |identity| AzureContainer {
        identity,
        ..good.clone()
    };
    let mut bad = misnamed(&good);
    bad.extend(unusable().into_iter().map(with_identity));
    for store in bad {
        let refused = world.set_store("acme", &Store::Azure(store.clone())).await;
        match refused {
            Err(AdminFault::Refused { why, hint }) => {
                assert!(!hint.is_empty() && !why.contains("canary"), "{why}");
            }
            other => panic!("{store:?}: {other:?}"),
        }
    }
    assert_eq!(world.sql("select count(*) from destinations").await, "0");
    world.set_store("acme", &Store::Azure(good)).await.unwrap();
}

#[tokio::test]
async fn the_database_refuses_a_destination_that_is_half_of_each_cloud() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let common = "account_id, prefix, place, account_leads_key, external_id, in_force_from";
    let values = "'acme', '', 'p', false, 'x', now()";
    let sealed = "sha256('x') || sha256('y')";
    for (columns, more) in [
        ("cloud, bucket", "'s3', 'b-1'".to_owned()),
        (
            "cloud, bucket, region, container",
            "'s3', 'b-1', 'r', 'c'".to_owned(),
        ),
        (
            "cloud, storage_account, container",
            "'azure', 'a', 'c'".to_owned(),
        ),
        (
            "cloud, storage_account, container, identity, secret_id, secret_key_id",
            "'azure', 'a', 'c', 'sas', gen_random_uuid(), 'k'".to_owned(),
        ),
        (
            "cloud, storage_account, container, identity, secret_id, secret_key_id, \
             secret_sealed, bucket",
            format!("'azure', 'a', 'c', 'sas', gen_random_uuid(), 'k', {sealed}, 'b-1'"),
        ),
        (
            "cloud, storage_account, container, identity, secret_id, secret_key_id, secret_sealed",
            format!("'azure', 'a', 'c', 'service_principal', gen_random_uuid(), 'k', {sealed}"),
        ),
        (
            "cloud, storage_account, container, identity, secret_id, secret_key_id, \
             secret_sealed, tenant_id, client_id",
            format!("'azure', 'a', 'c', 'sas', gen_random_uuid(), 'k', {sealed}, 't', 'c'"),
        ),
        ("cloud, bucket, region", "'gcs', 'b-1', 'r'".to_owned()),
    ] {
        let insert =
            format!("insert into destinations ({common}, {columns}) values ({values}, {more})");
        let error = world.try_sql(&insert).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("check constraint"),
            "{insert}: {error:#}"
        );
    }
}

fn proven_in_azure(granted: &Granted, blocks: bool) -> Stored {
    let staged = granted.staged.clone();
    let announced = staged.announced();
    let digests = Digests {
        size_bytes: 480_044,
        sha256: Sha256::new([7; 32]),
        crc64nvme: Crc64Nvme::new(42),
    };
    let block = Block {
        id: "AAAA".to_owned(),
        size_bytes: 480_044,
    };
    let blocks = blocks.then(|| vec![block]);
    let content_md5 = blocks
        .is_none()
        .then(|| "CY9rzUYh03PK3k6DJie09g==".to_owned());
    let sent = CheckedWrite {
        etag: "\"0x8DD\"".to_owned(),
        content_md5: content_md5.clone(),
        blocks: blocks.clone(),
    };
    let observed = Observed {
        size_bytes: digests.size_bytes,
        crc64nvme: None,
        etag: sent.etag.clone(),
        version_id: None,
        content_md5,
        blocks,
        metadata: object_metadata(announced, staged.destination(), staged.retain_until(), None),
        read_back: None,
    };
    let expected = Expected {
        digests,
        sent: Some(sent),
        first_look: None,
    };
    let proof = expected.verify(announced, observed).unwrap();
    let identity = Identity {
        size_bytes: 480_044,
        mtime_ns: 1,
        inode: 2,
        entity: None,
    };
    staged.stored(&proof, identity, Uuid::new_v4(), at("2024-05-01T12:00:00Z"))
}

#[tokio::test]
async fn the_receipts_of_azure_are_remembered_whole_and_only_they_release() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let store = container("acmestore", "calls", sas(SAS));
    world.set_store("acme", &store).await.unwrap();
    for (id, blocks, method) in [
        ("rec-1", false, Method::SentChecksum),
        ("rec-2", true, Method::BlockList),
    ] {
        let event = announced(id);
        let grant = world.granted(&event).await;
        let stored = proven_in_azure(&grant, blocks);
        assert_eq!(stored.receipt().method, method);
        let advance = world.catalog.store(&grant.lease, &stored).await.unwrap();
        assert_eq!(advance, Advance::Done(()));
        match world.catalog.claim(&event).await.unwrap() {
            Claimed::Beyond(Recording::Stored(known)) => {
                assert_eq!(known.receipt(), stored.receipt());
            }
            other => panic!("{other:?}"),
        }
        let mut other = stored.receipt().clone();
        other.content_md5 = Some("another".to_owned());
        let claim = world.catalog.claim_release(&event.key, Some(&other)).await;
        assert!(matches!(claim.unwrap(), ReleaseClaim::OtherReceipt));
        let receipt = Some(stored.receipt());
        let claim = world.catalog.claim_release(&event.key, receipt).await;
        let ReleaseClaim::Granted(grant) = claim.unwrap() else {
            panic!("not granted");
        };
        assert_eq!(grant.stored.destination().store, store);
        // A lost copy takes its digest along.
        let lost = world
            .catalog
            .copy_lost(&event.key, &grant.lease, "gone")
            .await;
        assert!(matches!(lost.unwrap(), Advance::Done(Some(_))));
        let digest = "receipt_content_md5 is null";
        assert_eq!(world.column(&event.key, digest).await, "t");
        let account = event.key.account_id.clone();
        let shown = world
            .catalog
            .show_recording(Some(&account), &event.key.recording_id)
            .await;
        assert!(shown.unwrap()[0].location.is_none());
    }
}
