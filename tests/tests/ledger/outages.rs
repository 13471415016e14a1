//! PostgreSQL crashes, freezes, takes no writes, or is told to forget.

use std::time::Duration;

use callferry_tests::patience;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Postgres;
use catalog::{AdminFault, Catalog, Settings};
use recording::{Advance, Claimed, Ledger, LedgerFault, Store};

use super::world::{UNCHECKED, Watch, World, announced, bucket, owner, proven};

const SOON: Duration = Duration::from_secs(60);

/// A server of this test's own, to be broken, and a catalog on it.
async fn breakable(name: &str) -> (Scratch, Postgres, Catalog) {
    let scratch = Scratch::new(name).unwrap();
    let mut postgres = Postgres::start(scratch.path()).await.unwrap();
    let url = postgres.create_database("ledger").await.unwrap();
    let mut settings = Settings::new(url);
    settings.wait_timeout = Duration::from_millis(500);
    settings.connect_timeout = Duration::from_millis(500);
    settings.statement_timeout = Duration::from_millis(500);
    settings.lock_timeout = Duration::from_millis(300);
    let catalog = Catalog::connect(settings, Watch::new()).unwrap();
    patience::until("it is migrated", SOON, async || {
        Ok(catalog.migrate().await.ok())
    })
    .await
    .unwrap();
    let acme = "acme".parse().unwrap();
    catalog.create_account(&acme, None).await.unwrap();
    let (own, bucket) = (owner("acme"), Store::S3(bucket("acme-bucket")));
    let set = catalog.set_destination(&own, &bucket, None, &UNCHECKED);
    set.await.unwrap();
    (scratch, postgres, catalog)
}

async fn until_it_answers(catalog: &Catalog) {
    patience::until("the ledger answers", SOON, async || {
        Ok(catalog.probe().await.ok())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_crash_during_claims_makes_the_ledger_unavailable_and_then_it_goes_on() {
    let (_scratch, mut postgres, catalog) = breakable("ledger-crash").await;
    let grant = match catalog.claim(&announced("rec-0")).await.unwrap() {
        Claimed::Granted(grant) => grant,
        other => panic!("{other:?}"),
    };
    let events: Vec<_> = (1..200).map(|n| announced(&format!("rec-{n}"))).collect();
    let claims = futures::future::join_all(events.iter().map(|event| catalog.claim(event)));
    let crash = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        postgres.kill9().unwrap();
    };
    let (answers, ()) = tokio::join!(claims, crash);
    let mut lost = 0;
    for answer in &answers {
        match answer {
            Ok(Claimed::Granted(_)) => {}
            Err(LedgerFault::Unavailable(_)) => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0);
    assert!(matches!(
        catalog.probe().await,
        Err(LedgerFault::Unavailable(_))
    ));
    postgres.restart().await.unwrap();
    until_it_answers(&catalog).await;
    // What was committed is known, what was not can be claimed; nothing is in between.
    for event in &events {
        loop {
            match catalog.claim(event).await {
                Ok(Claimed::Granted(_) | Claimed::Waits(recording::State::Staged)) => break,
                // A server that recovers on a busy machine may be slow for a while.
                Err(LedgerFault::Unavailable(_)) => until_it_answers(&catalog).await,
                other => panic!("{other:?}"),
            }
        }
    }
    let stored = proven(&grant);
    let done = catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(done, Advance::Done(()));
}

#[tokio::test]
async fn a_frozen_server_costs_a_bounded_wait_and_the_outcome_is_looked_up() {
    let (_scratch, mut postgres, catalog) = breakable("ledger-frozen").await;
    let event = announced("rec-0");
    let Claimed::Granted(grant) = catalog.claim(&event).await.unwrap() else {
        panic!("not granted");
    };
    let stored = proven(&grant);
    postgres.freeze().unwrap();
    let unknown = catalog.store(&grant.lease, &stored).await;
    assert!(matches!(unknown, Err(LedgerFault::Unavailable(_))));
    postgres.thaw().unwrap();
    until_it_answers(&catalog).await;
    let done = catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(done, Advance::Done(()));
    let sql = "select count(*) from recording_history where to_state = 'stored'";
    assert_eq!(postgres.sql("ledger", sql).await.unwrap(), "1");
}

#[tokio::test]
async fn a_lock_that_an_operator_holds_is_waited_for_with_a_limit() {
    let (_scratch, postgres, catalog) = breakable("ledger-locked").await;
    let hold = postgres.sql(
        "ledger",
        "begin; lock table recordings; select pg_sleep(2); commit",
    );
    let claim = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        catalog.claim(&announced("rec-0")).await
    };
    let (held, claimed) = tokio::join!(hold, claim);
    held.unwrap();
    assert!(
        matches!(claimed, Err(LedgerFault::Unavailable(_))),
        "{claimed:?}"
    );
    let claimed = catalog.claim(&announced("rec-0")).await.unwrap();
    assert!(matches!(claimed, Claimed::Granted(_)));
}

#[tokio::test]
async fn a_database_that_takes_no_writes_or_forgets_is_not_believed() {
    let world = World::settled().await;
    assert_eq!(world.catalog.check_durability().await, Ok(()));
    world.catalog.probe().await.unwrap();
    for (setting, value) in [
        ("default_transaction_read_only", "on"),
        ("synchronous_commit", "off"),
    ] {
        let alter = format!(
            "do $$ begin execute format('alter database %I set {setting} = {value}', \
             current_database()); end $$"
        );
        world.sql(&alter).await;
        let fresh = Catalog::connect(Settings::new(&world.url), Watch::new()).unwrap();
        match (setting, fresh.check_durability().await.unwrap_err()) {
            ("synchronous_commit", AdminFault::Refused { why, .. }) => {
                assert!(why.contains("synchronous_commit"), "{why}");
                let probe = fresh.probe().await;
                assert!(matches!(probe, Err(LedgerFault::Corrupt(_))));
            }
            ("default_transaction_read_only", AdminFault::Ledger(fault)) => {
                assert!(matches!(fault, LedgerFault::Unavailable(_)));
                let claim = fresh.claim(&announced("rec-1")).await;
                assert!(
                    matches!(claim, Err(LedgerFault::Unavailable(_))),
                    "{claim:?}"
                );
                let undo = alter.replace("= on", "= off");
                world
                    .sql(&format!("set transaction read write; {undo}"))
                    .await;
            }
            (_, fault) => panic!("{fault}"),
        }
    }
}

#[tokio::test]
async fn an_unmigrated_or_absent_database_is_said_to_be_so() {
    let world = World::empty(|_| {}).await;
    let fault = world.catalog.claim(&announced("rec-1")).await.unwrap_err();
    assert!(fault.to_string().contains("callferry migrate"), "{fault}");
    let (server, _) = world.url.rsplit_once('/').unwrap();
    let elsewhere = format!("{server}/no_such_database");
    let catalog = Catalog::connect(Settings::new(elsewhere), Watch::new()).unwrap();
    let fault = catalog.probe().await.unwrap_err();
    assert!(matches!(fault, LedgerFault::Unavailable(_)), "{fault}");
    let url = "postgres://callferry:hunter2@localhost:notaport/x";
    let fault = Catalog::connect(Settings::new(url), Watch::new()).unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains("hunter2"));
}
