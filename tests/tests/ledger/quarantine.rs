//! Quarantined messages: kept once, returned when their cause is gone.

use std::time::Duration;

use catalog::AdminFault;
use recording::{Ledger, QuarantineEntry, Queue, RefusalReason};

use super::world::{World, announced};

fn entry(reason: RefusalReason, body: &[u8]) -> QuarantineEntry {
    QuarantineEntry {
        reason,
        detail: "account_id: no such\0 account".to_owned(),
        queue: Queue::Transfer,
        body: body.to_vec().into(),
        content_type: Some("application/json".to_owned()),
        names: Some(("late".to_owned(), "late/a.wav".to_owned())),
    }
}

#[tokio::test]
async fn the_same_message_for_the_same_reason_is_one_row_that_counts() {
    let world = World::new().await;
    for body in [b"one", b"one", b"two", b"one"] {
        let entry = entry(RefusalReason::NotJson, body);
        world.catalog.quarantine(&entry).await.unwrap();
    }
    let other = entry(RefusalReason::TooDeep, b"one");
    world.catalog.quarantine(&other).await.unwrap();
    let listed = world.catalog.list_quarantine(10).await.unwrap();
    let counts: Vec<_> = listed
        .iter()
        .map(|message| (message.reason.as_str(), message.count))
        .collect();
    assert_eq!(counts, [("not_json", 3), ("not_json", 1), ("too_deep", 1)]);
    assert_eq!(listed[0].detail, "account_id: no such account");
    let shown = world.catalog.show_quarantine(listed[1].id).await.unwrap();
    assert_eq!(shown.body.as_deref(), Some("two"));
    world.catalog.drop_quarantine(listed[1].id).await.unwrap();
    let gone = world.catalog.show_quarantine(listed[1].id).await;
    assert!(matches!(gone, Err(AdminFault::NotFound { .. })));
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_above_the_limit_is_cut_and_never_returns() {
    let world = World::new().await;
    let mut large = vec![b'x'; 256 * 1024 + 1];
    let one = entry(RefusalReason::TooLarge, &large);
    large[256 * 1024] = b'y';
    let two = entry(RefusalReason::TooLarge, &large);
    world.catalog.quarantine(&one).await.unwrap();
    world.catalog.quarantine(&two).await.unwrap();
    let listed = world.catalog.list_quarantine(10).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (listed[0].body_bytes, listed[0].requeuable),
        (262_145, false)
    );
    let shown = world.catalog.show_quarantine(listed[0].id).await.unwrap();
    assert_eq!(shown.body.unwrap().len(), 256 * 1024);
    let refused = world.catalog.requeue_quarantine(listed[0].id).await;
    assert!(matches!(refused, Err(AdminFault::Refused { .. })));
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_for_an_unknown_account_returns_once_the_account_exists() {
    let world = World::with(|settings| settings.requeue_again_after = Duration::ZERO).await;
    let late = entry(RefusalReason::AccountUnknown, b"{}");
    world.catalog.quarantine(&late).await.unwrap();
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
    let account = "late".parse().unwrap();
    let view = world
        .catalog
        .create_account(&account, Some("Late Ltd"))
        .await;
    assert_eq!(view.unwrap().waiting_in_quarantine, 1);
    // Not confirmed in time, so it is handed out again.
    for _ in 0..2 {
        let back = world.catalog.requeues(10).await.unwrap();
        assert_eq!(back.len(), 1);
        assert_eq!(
            (back[0].queue, &back[0].message.body),
            (Queue::Transfer, &late.body)
        );
        assert_eq!(back[0].message.content_type, late.content_type);
    }
    let id = world.catalog.list_quarantine(1).await.unwrap()[0].id;
    world.catalog.requeued(id).await.unwrap();
    assert!(world.catalog.list_quarantine(1).await.unwrap().is_empty());
    let shown = world.catalog.show_account(&account).await.unwrap();
    assert_eq!(shown.waiting_in_quarantine, 0);
}

#[tokio::test]
async fn two_replicas_do_not_return_the_same_message() {
    let world = World::new().await;
    world.account("late").await;
    for n in 0..20_u8 {
        let late = entry(RefusalReason::AccountUnknown, &[n]);
        world.catalog.quarantine(&late).await.unwrap();
    }
    let (one, two) = tokio::join!(world.catalog.requeues(15), world.catalog.requeues(15));
    let mut ids: Vec<_> = one.unwrap().into_iter().chain(two.unwrap()).collect();
    ids.extend(world.catalog.requeues(15).await.unwrap());
    let mut ids: Vec<_> = ids.into_iter().map(|requeue| requeue.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    assert!(world.catalog.requeues(15).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_whose_path_is_in_use_returns_once_the_path_is_free() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let path = event.original.path.as_str().to_owned();
    let waiting = QuarantineEntry {
        names: Some(("acme".to_owned(), path)),
        ..entry(RefusalReason::PathInUse, b"{}")
    };
    world.catalog.quarantine(&waiting).await.unwrap();
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
    let grant = world.release_granted(&event.key).await;
    let released = world
        .catalog
        .release(&event.key, &grant.lease, "deleted")
        .await;
    released.unwrap();
    assert_eq!(world.catalog.requeues(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_beyond_its_delivery_limit_climbs_the_ladder_each_time_it_comes_again() {
    let world = World::new().await;
    let tired = entry(RefusalReason::DeliveryLimit, b"{}");
    for (least, most) in [(24, 36), (96, 144), (480, 720), (2880, 4320)] {
        world.catalog.quarantine(&tired).await.unwrap();
        assert!(world.catalog.requeues(10).await.unwrap().is_empty());
        let wait = "select extract(epoch from check_at - last_seen)::integer \
                    from quarantined_messages";
        let wait: i32 = world.sql(wait).await.parse().unwrap();
        assert!((least..=most).contains(&wait), "{wait}");
        world
            .sql("update quarantined_messages set check_at = now()")
            .await;
        let back = world.catalog.requeues(10).await.unwrap();
        assert_eq!(back[0].message.body, tired.body);
        world.catalog.requeued(back[0].id).await.unwrap();
        assert!(world.catalog.list_quarantine(10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_person_may_return_what_would_not_return_by_itself() {
    let world = World::new().await;
    let odd = entry(RefusalReason::UnknownType, &[0xff, 0x00]);
    world.catalog.quarantine(&odd).await.unwrap();
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
    let id = world.catalog.list_quarantine(1).await.unwrap()[0].id;
    let shown = world.catalog.show_quarantine(id).await.unwrap();
    assert_eq!(
        (shown.body, shown.body_hex.as_deref()),
        (None, Some("ff00"))
    );
    world.catalog.requeue_quarantine(id).await.unwrap();
    let back = world.catalog.requeues(10).await.unwrap();
    assert_eq!((back.len(), back[0].id), (1, id));
    let none = world.catalog.requeue_quarantine(id + 1).await;
    assert!(matches!(none, Err(AdminFault::NotFound { .. })));
}

#[tokio::test]
async fn a_message_that_is_refused_again_before_its_return_is_noted_is_not_lost() {
    let world = World::new().await;
    let one = entry(RefusalReason::Conflict, b"stubborn");
    world.catalog.quarantine(&one).await.unwrap();
    let id = world.catalog.list_quarantine(10).await.unwrap()[0].id;
    world.catalog.requeue_quarantine(id).await.unwrap();
    let handed_out = world.catalog.requeues(10).await.unwrap();
    assert_eq!(handed_out.len(), 1);
    // Transfer refuses it again, and the intake keeps it, before housekeeping hears the confirm.
    world.catalog.quarantine(&one).await.unwrap();
    world.catalog.requeued(id).await.unwrap();
    let listed = world.catalog.list_quarantine(10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].count, listed[0].requeue_asked_at), (2, None));
    assert!(world.catalog.requeues(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_nobody_can_requeue_is_forgotten_after_ninety_days_and_counted() {
    let world = World::new().await;
    let mut large = vec![b'x'; 256 * 1024 + 1];
    for n in 0..3_u8 {
        large[0] = n;
        let large = entry(RefusalReason::TooLarge, &large);
        world.catalog.quarantine(&large).await.unwrap();
    }
    let whole = entry(RefusalReason::NotJson, b"whole");
    world.catalog.quarantine(&whole).await.unwrap();
    assert_eq!(world.catalog.purge_quarantine().await.unwrap(), 0);
    world
        .sql(
            "update quarantined_messages set first_seen = now() - interval '91 days', \
             last_seen = now() - case id when 1 then interval '89 days' \
                                         else interval '91 days' end",
        )
        .await;
    assert_eq!(world.catalog.purge_quarantine().await.unwrap(), 2);
    let left = world.catalog.list_quarantine(10).await.unwrap();
    let left: Vec<_> = left.iter().map(|m| (m.id, m.requeuable)).collect();
    assert_eq!(left, [(1, false), (4, true)]);
    // Also more than one statement takes up.
    world
        .sql(
            "insert into quarantined_messages (reason, body_sha256, detail, queue, body, \
               body_bytes, requeuable, last_seen) \
             select 'too_large', sha256(n::text::bytea), '', 'transfer', '', 1, false, \
               '2020-01-01' from generate_series(1, 1203) n",
        )
        .await;
    assert_eq!(world.catalog.purge_quarantine().await.unwrap(), 1203);
}
