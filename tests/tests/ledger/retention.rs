//! Expiry, holds and erasures: what the ledger grants, what the database refuses, and what is left.

use std::collections::BTreeSet;
use std::time::Duration;

use catalog::{AdminFault, Catalog, HoldScope};
use chrono::{DateTime, TimeDelta, Utc};
use recording::{
    Advance, Announced, Claimed, Expiring, ExpiryReason, Happened, Kept, Kind, Ledger, Recording,
    RecordingKey, Remains, Retained, RetentionLedger, State,
};

use super::world::{World, announced, announced_of, at};

const BY: (&str, &str) = ("Jo", "case 4711");

#[expect(
    clippy::disallowed_methods,
    reason = "the database's clock is the machine's own"
)]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Stamps it as when it completed: the fixture's is long ago, and a claim of today keeps it as if
/// it had been a month.
pub(super) async fn stamped_then(world: &World, key: &RecordingKey) {
    let stamped = "retain_until = \
         case when retain_until is not null and completed_at < now() - interval '100 days' \
              then completed_at + interval '180 days' else retain_until end";
    world.force(key, stamped).await;
}

/// A released recording whose retention ended long ago, and that owes nothing to anybody.
pub(super) async fn released(world: &World, event: &Announced) -> RecordingKey {
    world.stored(event).await;
    stamped_then(world, &event.key).await;
    world
        .force(&event.key, "acknowledged_at = now(), due_queue = 'cleanup'")
        .await;
    let grant = world.release_granted(&event.key).await;
    let release = world.catalog.release(&event.key, &grant.lease, "deleted");
    release.await.unwrap();
    world
        .force(&event.key, "announced_at = now(), announce_after = null")
        .await;
    event.key.clone()
}

/// The next turn, whoever's it would be.
pub(super) async fn turn(world: &World, catalog: &Catalog) -> Vec<Expiring> {
    world.sql("update retention_pace set next_at = now()").await;
    catalog.begin_expiries(16, 100).await.unwrap().begun
}

async fn looked_at_again(world: &World, key: &RecordingKey) {
    let due = "expiry_next_at = now(), \
         lease_until = case when lease_token is not null then now() end";
    world.force(key, due).await;
}

pub(super) async fn hold(world: &World, scope: HoldScope) -> i64 {
    let account = "acme".parse().unwrap();
    let placed = world.catalog.place_hold(&account, &scope, BY).await;
    placed.unwrap().hold.hold_id
}

pub(super) async fn expire(
    catalog: &Catalog,
    expiring: &Expiring,
) -> Advance<recording::Announcement> {
    let gone = Remains::default().gone().unwrap();
    catalog.expire(expiring, gone, 1).await.unwrap()
}

#[tokio::test]
async fn what_is_due_goes_once_with_its_proof_and_is_told() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    let young = Announced {
        completed_at: now(),
        ..announced("rec-young")
    };
    released(&world, &young).await;
    let begun = turn(&world, &world.catalog).await;
    let [expiring] = begun.as_slice() else {
        panic!("{begun:?}");
    };
    assert_eq!(*expiring.key(), key);
    assert_eq!(expiring.why(), ExpiryReason::Retention);
    let removable = expiring.removable().unwrap();
    assert_eq!(removable.copy().etag.as_deref(), Some("\"e-1\""));
    assert!(turn(&world, &world.catalog).await.is_empty());
    let Advance::Done(told) = expire(&world.catalog, expiring).await else {
        panic!("overtaken");
    };
    let Happened::Expired(ExpiryReason::Retention, Some(copy)) = &told.what else {
        panic!("{told:?}");
    };
    assert_eq!((&copy.key, copy.expiry_id), (&key, told.id));
    let location = copy.location.as_str();
    assert!(location.starts_with("s3://acme-bucket/"), "{location}");
    assert_eq!(copy.method, recording::Absence::NothingAtTheKey);
    // A lost answer, asked for again.
    assert_eq!(
        expire(&world.catalog, expiring).await,
        Advance::Done(told.clone())
    );
    let last = world.reasons(&key).await.pop().unwrap();
    assert_eq!(
        last,
        "retention: 1 deleted; the key is empty, and not listed"
    );
    world
        .force(&key, "announce_after = now() - interval '1 s'")
        .await;
    let owed = world.catalog.announcements(10).await.unwrap();
    assert_eq!(owed, vec![told]);
    let claimed = world.catalog.claim(&announced("rec-1")).await.unwrap();
    assert!(matches!(claimed, Claimed::Beyond(Recording::Expired(_))));
}

#[tokio::test]
async fn what_is_owed_to_others_is_told_first_and_nothing_goes_without_a_beginning() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    world.force(&key, "announce_after = now()").await;
    assert!(turn(&world, &world.catalog).await.is_empty());
    for (change, says) in [
        (
            "state = 'expired', expiry_proof = 'nothing_at_the_key'",
            "no deletion of it",
        ),
        ("interaction_id = 'mine'", "never changed"),
        ("erased_at = now()", "only_the_expired_are_erased"),
    ] {
        let refused = world.try_force(&key, change).await.unwrap_err();
        assert!(
            format!("{refused:#}").contains(says),
            "{change}: {refused:#}"
        );
    }
    // Too early: the row is passed over.
    world
        .force(&key, "retain_until = now() + interval '1 hour'")
        .await;
    world
        .force(&key, "expiry_attempts = 1, expiry_began_at = now()")
        .await;
    assert_eq!(world.column(&key, "expiry_attempts").await, "0");
}

#[tokio::test]
async fn a_hold_of_each_kind_keeps_what_it_is_on_until_it_is_released() {
    let world = World::settled().await;
    world.account("beta").await;
    world.destination("beta", "beta-bucket").await;
    let key = released(&world, &announced("rec-1")).await;
    for scope in [
        HoldScope::Recording("rec-1".parse().unwrap()),
        HoldScope::Interaction("call-1".parse().unwrap()),
        HoldScope::Account,
    ] {
        let other = released(&world, &announced_of("beta", "rec-1")).await;
        let id = hold(&world, scope).await;
        looked_at_again(&world, &key).await;
        let begun = turn(&world, &world.catalog).await;
        let keys: Vec<_> = begun.iter().map(|it| it.key().clone()).collect();
        assert_eq!(keys.as_slice(), std::slice::from_ref(&other));
        assert_eq!(world.column(&key, "expiry_outcome").await, "held");
        // Not even a statement of another's begins it.
        world
            .force(&key, "expiry_attempts = expiry_attempts + 1")
            .await;
        assert_eq!(world.column(&key, "expiry_attempts").await, "0");
        let account = key.account_id.clone();
        let released = world.catalog.release_hold(&account, id, BY).await.unwrap();
        assert_eq!(released.released.unwrap().by, "Jo");
        let twice = world.catalog.release_hold(&account, id, BY).await;
        assert!(matches!(twice, Err(AdminFault::Refused { .. })));
        expire(&world.catalog, &begun[0]).await;
        let forget = "set session_replication_role = replica; \
             delete from recordings where account_id = 'beta'";
        world.sql(forget).await;
    }
    looked_at_again(&world, &key).await;
    assert_eq!(turn(&world, &world.catalog).await.len(), 1);
    let all = world.catalog.list_holds(None, true).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(
        world
            .catalog
            .list_holds(None, false)
            .await
            .unwrap()
            .is_empty()
    );
    let changed = world
        .try_sql("update legal_holds set reason = 'other'")
        .await;
    assert!(format!("{:#}", changed.unwrap_err()).contains("never changed"));
}

#[tokio::test]
async fn a_hold_and_a_deletion_at_the_same_moment_never_miss_each_other() {
    let world = World::settled().await;
    let account = "acme".parse().unwrap();
    let mut late = 0;
    for round in 0..40 {
        let key = released(&world, &announced(&format!("rec-{round}"))).await;
        world.sql("update retention_pace set next_at = now()").await;
        let scope = HoldScope::Recording(key.recording_id.clone());
        let (begun, placed) = tokio::join!(
            world.catalog.begin_expiries(16, 100),
            world.catalog.place_hold(&account, &scope, BY),
        );
        let begun = begun.unwrap().begun;
        let named = placed.unwrap().too_late;
        assert_eq!(
            begun.len(),
            named.len(),
            "a deletion that began is named, and no other: {named:?}"
        );
        late += named.len();
        for expiring in &begun {
            expire(&world.catalog, expiring).await;
        }
    }
    // Either may be first; what counts is said above.
    assert!(late <= 40);
}

#[tokio::test]
async fn a_hold_that_comes_while_it_goes_ends_in_a_look_and_nothing_else() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    let first = turn(&world, &world.catalog).await;
    assert_eq!(first[0].attempts(), 1);
    let account = "acme".parse().unwrap();
    let scope = HoldScope::Interaction("call-1".parse().unwrap());
    let placed = world
        .catalog
        .place_hold(&account, &scope, BY)
        .await
        .unwrap();
    assert_eq!((placed.covers, placed.too_late.len()), (Some(1), 1));
    assert!(!placed.too_late[0].gone);
    looked_at_again(&world, &key).await;
    let second = turn(&world, &world.catalog).await;
    assert!(second[0].removable().is_none());
    // The first's lease is over.
    assert_eq!(expire(&world.catalog, &first[0]).await, Advance::Overtaken);
    let kept = Kept {
        why: Retained::Held,
        detail: "still there".to_owned(),
        lock_until: None,
        after: Duration::from_secs(3600),
    };
    let done = world.catalog.keep_copy(&second[0], &kept).await.unwrap();
    assert_eq!(done, Advance::Done(()));
    assert_eq!(world.column(&key, "expiry_began_at is null").await, "t");
    let again = hold(&world, scope).await;
    assert!(again > placed.hold.hold_id);
}

#[tokio::test]
async fn a_deletion_whose_process_died_is_begun_again_and_what_is_kept_comes_back_in_time() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    turn(&world, &world.catalog).await;
    let began = world.column(&key, "expiry_began_at").await;
    looked_at_again(&world, &key).await;
    let second = turn(&world, &world.another(|_| {})).await;
    assert_eq!(second[0].attempts(), 2);
    assert_eq!(world.column(&key, "expiry_began_at").await, began);
    let until = at("2031-01-01T00:00:00Z");
    let kept = Kept {
        why: Retained::Locked,
        detail: "delete: 403 ObjectLocked".to_owned(),
        lock_until: Some(until),
        after: Duration::from_secs(3600),
    };
    for _ in 0..2 {
        let done = world.catalog.keep_copy(&second[0], &kept).await.unwrap();
        assert_eq!(done, Advance::Done(()));
    }
    assert!(turn(&world, &world.catalog).await.is_empty());
    let shown = world.catalog.show_recording(None, &key.recording_id).await;
    let shown = shown.unwrap().remove(0);
    let expiry = shown.expiry.clone().unwrap();
    assert_eq!(expiry.outcome.as_deref(), Some("locked"));
    assert_eq!(expiry.lock_until, Some(until));
    let heard = world.catalog.playable(&key.account_id, &key.recording_id);
    let heard = heard.await.unwrap().unwrap();
    assert!(heard.is_over && heard.copy.is_none(), "{heard:?}");
    let kept = shown.history.iter().filter(|it| it.why.starts_with("kept"));
    assert_eq!(kept.count(), 1);
    let reading = world.catalog.retention_reading().await.unwrap();
    assert_eq!(reading.retained, [(Retained::Locked, 1)]);
}

#[tokio::test]
async fn replicas_share_what_is_due_and_an_account_keeps_its_pace() {
    let world = World::settled_with(|it| it.retention_pause = Duration::from_secs(600)).await;
    for n in 0..30 {
        released(&world, &announced(&format!("rec-{n}"))).await;
    }
    let another = world.another(|_| {});
    world.sql("update retention_pace set next_at = now()").await;
    let (one, two) = tokio::join!(
        world.catalog.begin_expiries(16, 10),
        another.begin_expiries(16, 10)
    );
    let begun = [one.unwrap().begun, two.unwrap().begun].concat_keys();
    assert_eq!(begun.len(), 10, "one turn, one batch");
    let third = world.catalog.begin_expiries(16, 10).await.unwrap();
    assert!(third.begun.is_empty());
    let rest = turn(&world, &another).await;
    assert_eq!(rest.len(), 20);
}

trait Keys {
    fn concat_keys(self) -> BTreeSet<RecordingKey>;
}

impl<const N: usize> Keys for [Vec<Expiring>; N] {
    fn concat_keys(self) -> BTreeSet<RecordingKey> {
        let all: Vec<_> = self.iter().flatten().map(|it| it.key().clone()).collect();
        let set: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!(set.len(), all.len(), "nothing is handed out twice");
        set
    }
}

#[tokio::test]
async fn far_more_than_was_ever_completed_in_a_day_stops_the_account_until_it_is_confirmed() {
    let world = World::settled().await;
    let first = at("2024-01-01T10:00:00Z");
    for n in 0..120 {
        let event = Announced {
            started_at: first - TimeDelta::minutes(2),
            completed_at: first + TimeDelta::days(n),
            ..announced(&format!("rec-{n}"))
        };
        released(&world, &event).await;
    }
    // As they fall due: one a day, however late the sweep is.
    let account = "acme".parse().unwrap();
    let all = world
        .catalog
        .preview_retention(&account, now())
        .await
        .unwrap();
    assert_eq!(all.days.len(), 120);
    // As somebody stamps them anew.
    world
        .sql("update recordings set retain_until = now() - interval '1 hour'")
        .await;
    world.sql("update retention_pace set next_at = now()").await;
    let turn = world.catalog.begin_expiries(16, 100).await.unwrap();
    assert!(turn.begun.is_empty());
    assert_eq!(turn.stopped.len(), 1, "{turn:?}");
    assert!(
        turn.stopped[0]
            .1
            .contains("120 recordings fell due in one day")
    );
    world.sql("update retention_pace set next_at = now()").await;
    let again = world.catalog.begin_expiries(16, 100).await.unwrap();
    assert!(again.begun.is_empty() && again.stopped.is_empty());
    assert_eq!(world.catalog.retention_reading().await.unwrap().stops, 1);
    let confirmed = world
        .catalog
        .confirm_retention(Some(&account), &[], BY)
        .await;
    assert_eq!(confirmed.unwrap().len(), 1);
    let twice = world
        .catalog
        .confirm_retention(Some(&account), &[], BY)
        .await;
    assert!(matches!(twice, Err(AdminFault::NotFound { .. })));
    let turn = world.catalog.begin_expiries(16, 100).await.unwrap();
    assert_eq!(turn.begun.len(), 100);
}

#[tokio::test]
async fn what_falls_due_as_it_was_completed_is_never_too_much() {
    let world = World::settled().await;
    for n in 0..120 {
        released(&world, &announced(&format!("rec-{n}"))).await;
    }
    assert_eq!(turn(&world, &world.catalog).await.len(), 100);
    world.catalog.stop_retention("a clock").await.unwrap();
    world.catalog.stop_retention("a clock").await.unwrap();
    assert!(turn(&world, &world.catalog).await.is_empty());
    let account = "acme".parse().unwrap();
    let wrong = world
        .catalog
        .confirm_retention(Some(&account), &[], BY)
        .await;
    assert!(wrong.is_err(), "what stopped all is confirmed for all");
    world
        .catalog
        .confirm_retention(None, &[], BY)
        .await
        .unwrap();
    assert_eq!(turn(&world, &world.catalog).await.len(), 20);
}

#[tokio::test]
async fn an_erasure_takes_the_words_and_its_tombstone_answers_every_replay() {
    let world = World::settled().await;
    let event = Announced {
        completed_at: now(),
        ..announced("rec-1")
    };
    let key = released(&world, &event).await;
    let account = key.account_id.clone();
    let erase = || {
        world
            .catalog
            .erase_recording(&account, &key.recording_id, BY)
    };
    let id = hold(&world, HoldScope::Account).await;
    let refused = erase().await.unwrap_err();
    assert!(refused.to_string().contains("legal hold"), "{refused}");
    world.catalog.release_hold(&account, id, BY).await.unwrap();
    let asked = erase().await.unwrap();
    assert_eq!((asked.state, asked.erased_at), (State::Released, None));
    let begun = turn(&world, &world.catalog).await;
    assert_eq!(begun[0].why(), ExpiryReason::Erasure);
    expire(&world.catalog, &begun[0]).await;
    assert!(erase().await.unwrap().erased_at.is_some());
    let row = world.column(&key, "row(recordings.*)::text").await;
    for word in ["call-1", "2024/rec-1", "sales", "audio/wav"] {
        assert!(!row.contains(word), "{word}: {row}");
    }
    // The same, and the same id with other content: nothing is resurrected or quarantined.
    let other = Announced {
        kind: Kind::Screen,
        ..event.clone()
    };
    for replay in [event, other] {
        let claimed = world.catalog.claim(&replay).await.unwrap();
        assert!(matches!(claimed, Claimed::Beyond(Recording::Expired(_))));
    }
    let last = world.reasons(&key).await.pop().unwrap();
    assert!(last.starts_with("erasure: 1 deleted"), "{last}");
}

#[tokio::test]
async fn an_erasure_waits_for_the_release_and_finds_what_expired_before() {
    let world = World::settled().await;
    let account = "acme".parse().unwrap();
    let event = announced("rec-1");
    world.stored(&event).await;
    let id = &event.key.recording_id;
    let asked = world
        .catalog
        .erase_recording(&account, id, BY)
        .await
        .unwrap();
    assert_eq!(asked.state, State::Stored);
    assert!(turn(&world, &world.catalog).await.is_empty());
    let gone = released(&world, &announced("rec-2")).await;
    let begun = turn(&world, &world.catalog).await;
    expire(&world.catalog, &begun[0]).await;
    let erased = world
        .catalog
        .erase_recording(&account, &gone.recording_id, BY);
    assert!(erased.await.unwrap().erased_at.is_some());
    assert_eq!(world.column(&gone, "interaction_id").await, "erased");
    let unknown = "rec-3".parse().unwrap();
    let unknown = world.catalog.erase_recording(&account, &unknown, BY).await;
    assert!(matches!(unknown, Err(AdminFault::NotFound { .. })));
}
