//! The access log: written once, read in order, changed by nobody, forgotten when it is time.

use std::time::Duration;

use catalog::{Access, AccessOutcome, AccessPlace, AccessRefusal};
use chrono::{DateTime, Utc};
use recording::Ledger;
use uuid::Uuid;

use super::scale::counted;
use super::world::{World, at};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What was given out.
const GRANTED: AccessOutcome = AccessOutcome::Granted(Duration::from_secs(300));

fn access(recording: &str, outcome: AccessOutcome) -> Access {
    Access {
        request_id: Uuid::new_v4(),
        subject: "somebody\0".to_owned(),
        token_account: Some("acme".parse().unwrap()),
        account: "acme".parse().unwrap(),
        recording: recording.parse().unwrap(),
        address: "2001:db8::7".parse().unwrap(),
        via: Some("10.0.0.1".parse().unwrap()),
        outcome,
    }
}

/// Makes what was written so far a minute older: rows of the last seconds are not read yet.
async fn age(world: &World) {
    let trigger = "trigger accesses_are_append_only";
    let text = format!(
        "alter table accesses disable {trigger}; \
         update accesses set at = at - interval '1 minute'; \
         alter table accesses enable {trigger}"
    );
    world.sql(&text).await;
}

#[tokio::test]
async fn each_answer_is_a_row_that_is_read_in_order_by_the_page() {
    let world = World::new().await;
    let granted = access("rec-0", GRANTED);
    world.catalog.note_access(&granted, YEAR).await.unwrap();
    let opened = access("rec-1", AccessOutcome::Opened);
    world.catalog.note_access(&opened, YEAR).await.unwrap();
    for (number, why) in AccessRefusal::ALL.iter().enumerate() {
        let outcome = AccessOutcome::Refused(*why);
        let mut refused = access(&format!("rec-{}", number + 2), outcome);
        if *why == AccessRefusal::Foreign {
            refused.account = "globex".parse().unwrap();
        }
        world.catalog.note_access(&refused, YEAR).await.unwrap();
    }
    age(&world).await;
    let acme = "acme".parse().unwrap();
    let later = at("2100-01-01T00:00:00Z");
    let mut after = AccessPlace::from(DateTime::<Utc>::UNIX_EPOCH);
    let mut read = Vec::new();
    loop {
        let page = world.catalog.page_accesses(&acme, (after, later), 2).await;
        let page = page.unwrap();
        let Some(last) = page.last() else { break };
        after = AccessPlace::after(last);
        read.extend(page);
    }
    let ids = read.iter().map(|row| row.recording_id.to_string());
    let expected = (0..AccessRefusal::ALL.len() + 2).map(|number| format!("rec-{number}"));
    assert!(ids.eq(expected), "{read:#?}");
    assert_eq!((read[0].outcome, read[0].life_s), ("granted", Some(300)));
    assert_eq!(read[0].subject, "somebody");
    assert_eq!(read[0].address, granted.address);
    assert_eq!(read[0].via, granted.via);
    assert_eq!((read[1].outcome, read[1].life_s), ("opened", None));
    assert_eq!((read[2].outcome, read[2].life_s), ("refused", None));
    for (row, why) in read[2..].iter().zip(AccessRefusal::ALL) {
        assert_eq!(row.reason.as_deref(), Some(why.as_str()));
        // Another account is named where it was asked for, and hears nothing of it.
        let asked = row.asked_account_id.as_ref().map(ToString::to_string);
        let foreign = *why == AccessRefusal::Foreign;
        assert_eq!(asked.as_deref(), foreign.then_some("globex"));
        assert_eq!(row.account_id, acme);
    }
    // Only one account's, and only within the time.
    let other = "globex".parse().unwrap();
    let from = AccessPlace::from(DateTime::<Utc>::UNIX_EPOCH);
    let none = world.catalog.page_accesses(&other, (from, later), 10).await;
    assert!(none.unwrap().is_empty());
    let middle = read[3].at;
    let before = world.catalog.page_accesses(&acme, (from, middle), 10).await;
    let since = AccessPlace::from(middle);
    let since = world.catalog.page_accesses(&acme, (since, later), 10).await;
    assert_eq!(before.unwrap().len() + since.unwrap().len(), read.len());
}

#[tokio::test]
async fn what_may_still_be_on_its_way_is_read_by_nobody() {
    let world = World::new().await;
    let granted = access("rec-0", GRANTED);
    world.catalog.note_access(&granted, YEAR).await.unwrap();
    let acme = "acme".parse().unwrap();
    let from = AccessPlace::from(DateTime::<Utc>::UNIX_EPOCH);
    let later = at("2100-01-01T00:00:00Z");
    let page = world.catalog.page_accesses(&acme, (from, later), 10).await;
    assert!(page.unwrap().is_empty());
    let first = world.catalog.settled_accesses().await.unwrap();
    // One that began before the first export and commits after it, within its statement's time.
    let late = "insert into accesses (at, request_id, subject, account_id, recording_id, address, \
        life_s, keep_until) values (now() - interval '5 s', gen_random_uuid(), 's', 'acme', \
        'late', '::1', 1, now() + interval '1 year')";
    world.sql(late).await;
    let missed = format!(
        "select count(*) from accesses where at < '{}'",
        first.to_rfc3339()
    );
    assert_eq!(
        world.sql(&missed).await.trim(),
        "0",
        "it is for the next window"
    );
    age(&world).await;
    let page = world.catalog.page_accesses(&acme, (from, later), 10).await;
    assert_eq!(page.unwrap().len(), 2);
}

#[tokio::test]
async fn no_row_is_changed_and_none_goes_before_its_time() {
    let world = World::new().await;
    let granted = access("rec-0", GRANTED);
    world.catalog.note_access(&granted, YEAR).await.unwrap();
    for statement in [
        "update accesses set subject = 'nobody'",
        "update accesses set keep_until = now() - interval '1 day'",
        "delete from accesses",
        "truncate accesses",
        // Nobody begins one that is over at once.
        "insert into accesses (request_id, subject, account_id, recording_id, address, life_s, \
           keep_until) values (gen_random_uuid(), 's', 'a', 'r', '::1', 1, now())",
        // A grant has a life, a refusal a reason, and a page that is opened neither.
        "insert into accesses (request_id, subject, account_id, recording_id, address, \
           keep_until) values (gen_random_uuid(), 's', 'a', 'r', '::1', now() + interval '1 day')",
        "insert into accesses (request_id, subject, account_id, recording_id, address, opened, \
           life_s, keep_until) values (gen_random_uuid(), 's', 'a', 'r', '::1', true, 1, \
           now() + interval '1 day')",
        // What is another account's is refused, and stands in the log of who asked.
        "insert into accesses (request_id, subject, account_id, recording_id, address, refused, \
           keep_until) values (gen_random_uuid(), 's', 'a', 'r', '::1', 'foreign', \
           now() + interval '1 day')",
        "insert into accesses (request_id, subject, token_account, account_id, asked_account, \
           recording_id, address, life_s, keep_until) values (gen_random_uuid(), 's', 'a', 'a', \
           'b', 'r', '::1', 1, now() + interval '1 day')",
        "insert into accesses (request_id, subject, token_account, account_id, asked_account, \
           recording_id, address, refused, keep_until) values (gen_random_uuid(), 's', 'b', 'a', \
           'b', 'r', '::1', 'foreign', now() + interval '1 day')",
    ] {
        assert!(world.try_sql(statement).await.is_err(), "{statement}");
    }
    assert_eq!(world.catalog.purge_accesses().await.unwrap(), 0);
    world
        .sql(
            "insert into accesses (at, request_id, subject, account_id, recording_id, address, \
               refused, keep_until) \
             select now() - interval '3 days', gen_random_uuid(), 's', 'acme', 'r', '::1', \
               'expired', now() - interval '1 day' from generate_series(1, 2500)",
        )
        .await;
    assert_eq!(world.catalog.purge_accesses().await.unwrap(), 2500);
    assert_eq!(world.catalog.purge_accesses().await.unwrap(), 0);
}

#[tokio::test]
async fn a_page_of_any_time_reads_its_own_rows_and_no_others() {
    let world = World::new().await;
    world
        .sql(
            "insert into accesses (at, request_id, subject, account_id, recording_id, address, \
               refused, keep_until) \
             select '2026-01-01'::timestamptz + n * interval '1 min', gen_random_uuid(), 's', \
               case when n % 10 = 0 then 'acme' else 'globex' end, 'r', '::1', 'expired', \
               '2100-01-01' from generate_series(1, 50000) n; \
             analyze accesses",
        )
        .await;
    let acme = "acme".parse().unwrap();
    let from = AccessPlace::from(at("2026-01-20T00:00:00Z"));
    let rows = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables \
         where relname = 'accesses'";
    let read = counted(&world, rows, async |catalog| {
        // A page of many, and one that its end cuts short.
        for (until, limit, many) in [
            ("2026-02-20T00:00:00Z", 100, 100),
            ("2026-01-20T01:00:00Z", 100, 6),
        ] {
            let page = catalog.page_accesses(&acme, (from, at(until)), limit).await;
            assert_eq!(page.unwrap().len(), many);
        }
    })
    .await;
    assert_eq!(read, 106);
}
