//! The envelope in the database: data keys are re-wrapped while others read, rows of the first
//! release open and are taken along, and nothing else of a revision can be changed.

use std::path::PathBuf;

use catalog::{AdminFault, Catalog, KeyRing, KeyRingFile, Rewrapped, Unopened};
use recording::{Approval, Secret, Store};
use tempfile::TempDir;

use super::clouds::{SAS, access_key, container, principal, sas};
use super::world::{World, announced, at, bucket, owner};

/// What the first release sealed, made by another implementation of AES-256-GCM: the secret under
/// the ring's key itself, bound to the row that [`first_release`] writes.
const SEALED: &str = "000102030405060708090a0b60958b225dd05c9329debaedb7dbda54accd650966101dcc\
                      c9ba9defd81819a8732adf265284";
const SEALED_SECRET: &str = "sv=1&sig=first-release";
/// Thirty-two times the same byte.
const FIRST_RING: &str = "current = \"k-11111111\"\n[keys]\n\
                          k-11111111 = \"ERERERERERERERERERERERERERERERERERERERERERE=\"\n";

/// A world whose key ring is a file, as an installation's is.
struct Ringed {
    world: World,
    file: PathBuf,
    _folder: TempDir,
}

impl Ringed {
    async fn new(accounts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyring");
        std::fs::write(&file, FIRST_RING).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).unwrap();
        let ring = KeyRing::load(&file).unwrap();
        let world = World::with(|settings| settings.keyring = Some(ring)).await;
        for account in accounts {
            world.account(account).await;
        }
        Self {
            world,
            file,
            _folder: folder,
        }
    }

    /// Makes a new key current, as another process does.
    fn turn(&self, moment: &str) -> KeyRing {
        let file = KeyRingFile::lock(&self.file).unwrap();
        file.turn(at(moment)).unwrap();
        file.ring().unwrap()
    }

    /// A row as the first release wrote it.
    async fn first_release(&self) {
        let insert = format!(
            "insert into destinations (account_id, prefix, place, account_leads_key, external_id,
                 in_force_from, cloud, storage_account, container, identity, secret_id,
                 secret_key_id, secret_sealed)
             values ('acme', '', 'p', false, 'x', '-infinity', 'azure', 'acmestore', 'calls',
                 'sas', '11111111-2222-4333-8444-555555555555', 'k-11111111',
                 decode('{SEALED}', 'hex'))"
        );
        self.world.sql(&insert).await;
    }

    async fn secret(&self, account: &str) -> Secret {
        let shown = self.world.catalog.show_destination(&owner(account)).await;
        match shown.unwrap().store {
            Store::Azure(azure) => azure.identity.secret().unwrap().clone(),
            Store::S3(_) => panic!("not Azure"),
        }
    }
}

/// Every batch to the end.
async fn rewrap(catalog: &Catalog, ring: &KeyRing) -> (u64, Vec<Unopened>) {
    let (mut rewrapped, mut unopened, mut after) = (0, Vec::new(), 0);
    loop {
        let batch: Rewrapped = catalog.rewrap(ring, after).await.unwrap();
        rewrapped += batch.rewrapped;
        unopened.extend(batch.unopened);
        match batch.last {
            Some(last) => after = last,
            None => return (rewrapped, unopened),
        }
    }
}

#[tokio::test]
async fn a_secret_of_the_first_release_opens_and_comes_under_the_new_key() {
    let it = Ringed::new(&["acme"]).await;
    it.first_release().await;
    let known = Secret::new(SEALED_SECRET.to_owned());
    assert_eq!(it.secret("acme").await, known);
    let ring = it.turn("2026-11-27T03:00:00Z");
    let left = it.world.catalog.secrets_left(&ring.current_id()).await;
    assert_eq!(left.unwrap(), 1);
    assert_eq!(rewrap(&it.world.catalog, &ring).await, (1, vec![]));
    // The process that was there before reads the file again, since it lacks the key.
    assert_eq!(it.secret("acme").await, known);
    let row = "select secret_key_id, octet_length(secret_wrapped_key), octet_length(secret_sealed),
                      secret_sealed = decode('";
    let row = format!("{row}{SEALED}', 'hex') from destinations");
    let expected = format!("{}|60|{}|f", ring.current_id(), SEALED.len() / 2);
    assert_eq!(it.world.sql(&row).await, expected);
    let used = it.world.catalog.secrets_by_key().await.unwrap();
    assert_eq!((used.len(), used[0].without_data_key), (1, 0));
}

#[tokio::test]
async fn a_rotation_rewraps_data_keys_only_and_may_be_broken_off_and_repeated() {
    let it = Ringed::new(&["acme", "beta", "gamma"]).await;
    let stores = [
        ("acme", container("store1", "calls", sas(SAS))),
        ("beta", container("store2", "calls", access_key("a2V5"))),
        ("gamma", container("store3", "calls", principal("x~y"))),
    ];
    for (account, store) in &stores {
        it.world.set_store(account, store).await.unwrap();
    }
    it.world.set("default", &bucket("ours")).await.unwrap();
    let sealed = "select string_agg(md5(secret_sealed), ' ' order by revision) from destinations";
    let keys = "select string_agg(md5(secret_wrapped_key), ' ' order by revision)
                  from destinations";
    let before = (it.world.sql(sealed).await, it.world.sql(keys).await);
    let ring = it.turn("2026-11-27T03:00:00Z");
    // One that never came to its end, and one beside it.
    let (first, second) = tokio::join!(
        it.world.catalog.rewrap(&ring, 0),
        it.world.catalog.rewrap(&ring, 0)
    );
    assert_eq!(first.unwrap().rewrapped + second.unwrap().rewrapped, 3);
    assert_eq!(rewrap(&it.world.catalog, &ring).await, (0, vec![]));
    assert_eq!(
        it.world.sql(sealed).await,
        before.0,
        "secrets stay as they are"
    );
    assert_ne!(it.world.sql(keys).await, before.1);
    for (account, store) in &stores {
        let shown = it.world.catalog.show_destination(&owner(account)).await;
        assert_eq!(shown.unwrap().store, *store);
    }
    // A recording is pinned to a row that was re-wrapped after the process began.
    let grant = it.world.granted(&announced("rec-1")).await;
    assert_eq!(grant.staged.destination().store, stores[0].1);
    // What is set from now on is under the new key.
    let renewed = container("store1", "calls", sas(&format!("{SAS}x")));
    it.world.set_store("acme", &renewed).await.unwrap();
    let used = it.world.catalog.secrets_by_key().await.unwrap();
    assert_eq!(used.len(), 1, "{used:?}");
    assert_eq!((used[0].secrets, &used[0].key_id), (4, &ring.current_id()));
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_named_and_holds_nobody_up() {
    let it = Ringed::new(&["acme", "beta"]).await;
    let other = KeyRing::generate().unwrap();
    let another = it
        .world
        .another(|settings| settings.keyring = Some(other.clone()));
    let lost = container("store1", "calls", sas(SAS));
    let lost = another
        .set_destination(&owner("acme"), &lost, None, &Approval::Forced(None))
        .await;
    let lost = lost.unwrap().revision;
    another.close().await;
    it.world
        .set_store("beta", &container("store2", "calls", sas(SAS)))
        .await
        .unwrap();
    let ring = it.turn("2026-11-27T03:00:00Z");
    let (rewrapped, unopened) = rewrap(&it.world.catalog, &ring).await;
    assert_eq!(rewrapped, 1);
    let expected = Unopened {
        owner: owner("acme"),
        revision: lost,
        key_id: other.current_id(),
    };
    assert_eq!(unopened, [expected]);
    assert_eq!(it.secret("beta").await, Secret::new(SAS.to_owned()));
    assert_eq!(it.secret("acme").await, Secret::locked(other.current_id()));
}

#[tokio::test]
async fn a_key_is_retired_only_when_no_secret_is_under_it() {
    let it = Ringed::new(&["acme"]).await;
    let catalog = &it.world.catalog;
    it.world
        .set_store("acme", &container("store1", "calls", sas(SAS)))
        .await
        .unwrap();
    let ring = it.turn("2026-11-27T03:00:00Z");
    let file = KeyRingFile::lock(&it.file).unwrap();
    let early = catalog.retire_key("k-11111111", || file.remove("k-11111111"));
    match early.await {
        Err(AdminFault::Refused { why, hint }) => {
            assert!(why.contains("1 secrets are under key k-11111111"), "{why}");
            assert!(hint.contains("keyring rotate --resume"), "{hint}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(file.ring().unwrap().ids().count(), 2);
    rewrap(catalog, &ring).await;
    let retired = catalog.retire_key("k-11111111", || file.remove("k-11111111"));
    retired.await.unwrap();
    assert_eq!(file.ring().unwrap().ids().count(), 1);
    assert_eq!(it.secret("acme").await, Secret::new(SAS.to_owned()));
    let current = ring.current_id();
    let needed = catalog.retire_key(&current, || file.remove(&current)).await;
    assert!(matches!(needed, Err(AdminFault::Refused { .. })));
}

/// Another value than any row has, by the column's type.
fn another(data_type: &str) -> &'static str {
    match data_type {
        "text" => "'changed'",
        "bigint" | "integer" => "4711",
        "boolean" => "true",
        "timestamp with time zone" => "'2001-01-01'",
        "uuid" => "gen_random_uuid()",
        "bytea" => "sha256('changed')",
        "jsonb" => "'{\"changed\": true}'",
        "ARRAY" => "'{changed}'",
        other => panic!("what is another value of {other}?"),
    }
}

#[tokio::test]
async fn a_revision_changes_in_nothing_but_its_wrapped_key() {
    let it = Ringed::new(&["acme"]).await;
    it.first_release().await;
    it.world
        .set_store("acme", &container("store1", "calls", sas(SAS)))
        .await
        .unwrap();
    it.world.set("default", &bucket("ours")).await.unwrap();
    let columns = "select column_name || ':' || data_type from information_schema.columns
                    where table_name = 'destinations' order by 1";
    let columns = it.world.sql(columns).await;
    let wrapped = "sha256('x') || substr(sha256('y'), 1, 28)";
    // In a row whose data key may be changed: together with it and alone, in every column.
    let rewrap = format!("secret_key_id = 'k-new', secret_wrapped_key = {wrapped}");
    let mut tried = 0;
    for column in columns.lines() {
        let (name, data_type) = column.split_once(':').unwrap();
        if ["secret_key_id", "secret_wrapped_key"].contains(&name) {
            continue;
        }
        let change = format!("{name} = {}", another(data_type));
        for set in [change.clone(), format!("{rewrap}, {change}")] {
            let update = format!("update destinations set {set} where container = 'calls'");
            let one = format!("{update} and secret_wrapped_key is not null");
            let refused = it.world.try_sql(&one).await.unwrap_err().to_string();
            let by_us = refused.contains("rows there are never changed");
            assert!(by_us || name == "revision", "{one}: {refused}");
            tried += 1;
        }
    }
    assert!(tried > 40, "{columns}");
    for refused in [
        // The envelope is never taken away, nor put around nothing.
        "update destinations set secret_wrapped_key = null where secret_wrapped_key is not null",
        "update destinations set secret_key_id = null where secret_key_id is not null",
        &format!("update destinations set {rewrap} where cloud = 's3'"),
        // A secret of the first release is not left under the ring's key.
        &format!("update destinations set {rewrap} where secret_wrapped_key is null"),
        "update destinations set secret_sealed = sha256('x') where secret_wrapped_key is null",
        "delete from destinations",
    ] {
        let refused = it.world.try_sql(refused).await.unwrap_err().to_string();
        assert!(refused.contains("never changed"), "{refused}");
    }
    let short = "update destinations set secret_wrapped_key = sha256('x')
                  where secret_wrapped_key is not null";
    let short = it.world.try_sql(short).await.unwrap_err().to_string();
    assert!(short.contains("check constraint"), "{short}");
    it.world
        .sql(&format!(
            "update destinations set {rewrap} where secret_wrapped_key is not null"
        ))
        .await;
}
