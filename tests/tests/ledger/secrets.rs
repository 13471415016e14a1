//! Secrets of destinations at rest: sealed under a key ring that is in no database, locked and
//! never lost where its key is missing.

use catalog::{AdminFault, KeyRing};
use recording::{Claimed, Ledger, Secret, Store};

use super::clouds::{SAS, access_key, container, principal, sas, world_with_keys};
use super::world::{UNCHECKED, World, announced, bucket, granted, owner, proven};

/// Text that occurs nowhere unless a secret leaks.
const CANARY: &str = "canary-4f1d0b7a9c";

#[tokio::test]
async fn without_a_key_ring_only_a_destination_without_a_secret_can_be_set() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let store = container("acmestore", "calls", sas(SAS));
    match world.set_store("acme", &store).await {
        Err(AdminFault::Refused { why, hint }) => {
            assert!(why.contains("no key ring"), "{why}");
            assert!(hint.contains("callferry keyring new"), "{hint}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.sql("select count(*) from destinations").await, "0");
    world.set("acme", &bucket("acme-bucket")).await.unwrap();
}

#[tokio::test]
async fn a_dump_of_the_whole_database_holds_no_secret_in_any_spelling() {
    let (world, _) = world_with_keys(&["acme", "beta", "gamma"]).await;
    let sas_token = format!("{SAS}{CANARY}");
    world
        .set_store("acme", &container("store1", "calls", sas(&sas_token)))
        .await
        .unwrap();
    // In base64, as keys are.
    let key = "Y2FuYXJ5LTRmMWQwYjdhOWM=";
    world
        .set_store("beta", &container("store2", "calls", access_key(key)))
        .await
        .unwrap();
    let secret = format!("Q8~{CANARY}");
    world
        .set_store("gamma", &container("store3", "calls", principal(&secret)))
        .await
        .unwrap();
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let stored = world.catalog.store(&grant.lease, &proven(&grant)).await;
    stored.unwrap();
    let tables = "select string_agg(quote_ident(table_name), ' ') \
        from information_schema.tables where table_schema = 'public'";
    let tables = world.sql(tables).await;
    let mut dumped = 0;
    for table in tables.split(' ') {
        let text = world.sql(&format!("select t::text from {table} t")).await;
        dumped += text.len();
        // What psql shows of bytes is hexadecimal digits.
        let hidden = [
            CANARY.to_owned(),
            hex::encode(CANARY),
            key.to_owned(),
            hex::encode(key),
            "c2FzLWNhbmFyeQ".to_owned(),
        ];
        for secret in hidden {
            assert!(!text.contains(&secret), "{table}: {secret}");
        }
    }
    assert!(tables.contains("destinations") && dumped > 1000);
    // The search finds what is there.
    let shown = world.sql("select d::text from destinations d").await;
    assert!(shown.contains("store3"));
}

#[tokio::test]
async fn without_its_key_a_secret_is_locked_and_everything_else_goes_on() {
    let (world, ring) = world_with_keys(&["acme"]).await;
    let store = container("acmestore", "calls", sas(SAS));
    let revision = world.set_store("acme", &store).await.unwrap().revision;
    let event = announced("rec-1");
    let other = KeyRing::generate().unwrap();
    for keyring in [None, Some(other)] {
        let blind = world.another(|settings| settings.keyring = keyring.clone());
        let grant = granted(blind.claim(&event).await.unwrap());
        let destination = grant.staged.destination();
        assert_eq!(destination.revision, revision);
        assert_eq!(destination.store.location(), "az://acmestore/calls");
        let Store::Azure(azure) = &destination.store else {
            panic!("not Azure");
        };
        let locked = azure.identity.secret().unwrap().reveal().unwrap_err();
        assert_eq!(locked.0, ring.current_id());
        let shown = blind.show_destination(&owner("acme")).await.unwrap();
        assert_eq!(shown.revision, revision);
        blind.give_back(&event.key, &grant.lease).await.unwrap();
        blind.close().await;
    }
    // Nothing was lost: with the key it opens.
    let grant = world.granted(&event).await;
    assert_eq!(grant.staged.destination().store, store);
}

#[tokio::test]
async fn what_is_locked_is_never_equal_to_a_secret_and_is_set_anew() {
    let (world, _) = world_with_keys(&["acme"]).await;
    let store = container("acmestore", "calls", sas(SAS));
    let first = world.set_store("acme", &store).await.unwrap();
    let ring = KeyRing::generate().unwrap();
    let another = world.another(|settings| settings.keyring = Some(ring.clone()));
    let owner = owner("acme");
    let second = another
        .set_destination(&owner, &store, None, &UNCHECKED)
        .await
        .unwrap();
    assert_ne!(second.revision, first.revision);
    assert_eq!(second.store, store);
    another.close().await;
}

#[tokio::test]
async fn a_row_that_was_tampered_with_gives_its_secret_to_nobody() {
    let (world, ring) = world_with_keys(&["acme", "beta"]).await;
    let store = container("acmestore", "calls", sas(SAS));
    world.set_store("acme", &store).await.unwrap();
    world
        .sql("alter table destinations disable trigger user")
        .await;
    let opens = async || {
        let shown = world
            .catalog
            .list_destinations(&owner("acme"))
            .await
            .unwrap();
        match &shown[0].store {
            Store::Azure(azure) => azure.identity.secret().unwrap().clone(),
            Store::S3(_) => panic!("not Azure"),
        }
    };
    assert_eq!(opens().await, Secret::new(SAS.to_owned()));
    for (change, back) in [
        ("endpoint = 'https://evil.test'", "endpoint = null"),
        ("storage_account = 'evil'", "storage_account = 'acmestore'"),
        ("container = 'evil'", "container = 'calls'"),
        ("identity = 'access_key'", "identity = 'sas'"),
        (
            "secret_id = gen_random_uuid()",
            "secret_id = (select secret_id from kept)",
        ),
        (
            "secret_sealed = set_byte(secret_sealed, 20, get_byte(secret_sealed, 20) # 1)",
            "secret_sealed = set_byte(secret_sealed, 20, get_byte(secret_sealed, 20) # 1)",
        ),
    ] {
        world
            .sql("create table if not exists kept as select secret_id from destinations")
            .await;
        world
            .sql(&format!("update destinations set {change}"))
            .await;
        assert_eq!(opens().await, Secret::locked(ring.current_id()), "{change}");
        world.sql(&format!("update destinations set {back}")).await;
        assert_eq!(opens().await, Secret::new(SAS.to_owned()), "{back}");
    }
    // Given to another owner.
    world
        .sql("update destinations set account_id = 'beta'")
        .await;
    let theirs = world
        .catalog
        .list_destinations(&owner("beta"))
        .await
        .unwrap();
    let Store::Azure(azure) = &theirs[0].store else {
        panic!("not Azure");
    };
    assert!(azure.identity.secret().unwrap().reveal().is_err());
}

#[tokio::test]
async fn secrets_that_were_set_under_an_older_key_open_as_long_as_the_ring_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (world, old) = world_with_keys(&["acme"]).await;
    let store = container("acmestore", "calls", sas(SAS));
    world.set_store("acme", &store).await.unwrap();
    // What a person does: the new ring's key is added to the old file and named as current.
    let (old_path, new_path) = (folder.path().join("old"), folder.path().join("new"));
    old.write_new(&old_path).unwrap();
    let new = KeyRing::generate().unwrap();
    new.write_new(&new_path).unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap();
    let added = read(&new_path).lines().last().unwrap().to_owned();
    let both = read(&old_path).replace(
        &format!("current = \"{}\"", old.current_id()),
        &format!("current = \"{}\"", new.current_id()),
    );
    std::fs::write(&old_path, format!("{both}{added}\n")).unwrap();
    let both = KeyRing::load(&old_path).unwrap();
    assert_eq!(
        (both.ids().count(), both.current_id()),
        (2, new.current_id())
    );

    let rotated = world.another(|settings| settings.keyring = Some(both.clone()));
    let event = announced("rec-1");
    let Claimed::Granted(grant) = rotated.claim(&event).await.unwrap() else {
        panic!("not granted");
    };
    assert_eq!(grant.staged.destination().store, store);
    let owner = owner("acme");
    let again = rotated
        .set_destination(&owner, &store, None, &UNCHECKED)
        .await
        .unwrap();
    assert_eq!(again.revision, 1);
    let renewed = container("acmestore", "calls", principal("x~y"));
    rotated
        .set_destination(&owner, &renewed, None, &UNCHECKED)
        .await
        .unwrap();
    let ids = "select string_agg(secret_key_id, ' ' order by revision) from destinations";
    let expected = format!("{} {}", old.current_id(), new.current_id());
    assert_eq!(world.sql(ids).await, expected);
    rotated.close().await;
}
