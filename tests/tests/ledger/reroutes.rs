//! Recordings that are not stored yet go to another revision: by one statement alone, which loses
//! against everybody who works on the recording.

use std::time::Duration;

use futures::future::join_all;
use recording::{
    Advance, Claimed, Identity, Ledger, ParkReason, RecordingKey, Reroutable, RerouteCandidate,
    RerouteLedger, Rerouting, State, Upload,
};

use super::world::{World, announced, announced_of, bucket, granted, parking, proven};

const NO_QUIET: Duration = Duration::ZERO;

/// What the row says, which must be that it may be moved.
async fn candidate(world: &World, key: &RecordingKey) -> RerouteCandidate {
    match world.catalog.reroutable(key, None).await.unwrap() {
        Reroutable::May(candidate) => *candidate,
        other => panic!("{other:?}"),
    }
}

fn wish(seen: &RerouteCandidate, quiet: Duration) -> Rerouting {
    Rerouting {
        key: seen.announced.key.clone(),
        from: seen.from.revision,
        to: seen.to.revision,
        claims: seen.claims,
        quiet,
        why: "s3://old/key: nothing is there".to_owned(),
        same_bucket: seen.same_bucket,
    }
}

/// A recording that is parked under the account's first revision, while a second is in force.
async fn parked_and_switched() -> (World, RecordingKey) {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let refused = parking(ParkReason::RoleNotAssumable);
    let parked = world.catalog.park(&event.key, &grant.lease, &refused).await;
    assert!(matches!(parked.unwrap(), Advance::Done(Some(_))));
    world.destination("acme", "other-bucket").await;
    (world, event.key)
}

#[tokio::test]
async fn a_parked_recording_goes_to_the_revision_in_force_and_begins_anew() {
    let (world, key) = parked_and_switched().await;
    let seen = candidate(&world, &key).await;
    assert!(!seen.same_bucket && !seen.leased && seen.upload_id.is_none());
    assert_eq!(seen.parked, Some(ParkReason::RoleNotAssumable));
    assert_eq!(seen.claims, 1);
    assert!(seen.worked_on.is_some());
    let moved = world.catalog.reroute(&wish(&seen, NO_QUIET)).await.unwrap();
    assert_eq!(moved, Advance::Done(()));
    let row = "destination_revision || ' ' || rungs || ' ' || state || ' ' || due_queue || ' ' ||
               (due_at <= now() and next_attempt_at <= now()) || ' ' || (reroute_note is null)";
    let expected = format!("{} 0 parked transfer true true", seen.to.revision);
    assert_eq!(world.column(&key, row).await, expected);
    let reasons = world.reasons(&key).await;
    let says = format!(
        "revision {} to {}: s3://old/key: nothing is there",
        seen.from.revision, seen.to.revision
    );
    assert_eq!(reasons.last().unwrap(), &says);
    assert_eq!(world.history(&key).await.last().unwrap(), "parked>parked");
    // Its next claim goes to the new place, and looks there before it sends.
    let grant = world.granted_due(&key).await;
    assert_eq!(grant.staged.destination().revision, seen.to.revision);
    assert!(grant.tried_before && grant.rungs == 0);
    let again = world.catalog.reroute(&wish(&seen, NO_QUIET)).await.unwrap();
    assert_eq!(again, Advance::Overtaken, "it has been moved already");
}

#[tokio::test]
async fn nothing_is_moved_while_a_lease_is_live_nor_after_another_claim() {
    let (world, key) = parked_and_switched().await;
    let before = candidate(&world, &key).await;
    world.force(&key, "next_attempt_at = now()").await;
    let grant = world.granted_due(&key).await;
    let seen = candidate(&world, &key).await;
    assert!(seen.leased);
    for wish in [wish(&seen, NO_QUIET), wish(&before, NO_QUIET)] {
        let moved = world.catalog.reroute(&wish).await.unwrap();
        assert_eq!(moved, Advance::Overtaken);
    }
    // A whole attempt has come and gone since it was looked at first.
    let refused = parking(ParkReason::OutcomeUnknown);
    world
        .catalog
        .park(&key, &grant.lease, &refused)
        .await
        .unwrap();
    let moved = world
        .catalog
        .reroute(&wish(&before, NO_QUIET))
        .await
        .unwrap();
    assert_eq!(moved, Advance::Overtaken);
    let seen = candidate(&world, &key).await;
    let moved = world.catalog.reroute(&wish(&seen, NO_QUIET)).await.unwrap();
    assert_eq!(moved, Advance::Done(()));
}

#[tokio::test]
async fn nothing_is_moved_before_the_time_of_a_late_write_is_over() {
    let (world, key) = parked_and_switched().await;
    let quiet = Duration::from_secs(360);
    let seen = candidate(&world, &key).await;
    let moved = world.catalog.reroute(&wish(&seen, quiet)).await.unwrap();
    assert_eq!(moved, Advance::Overtaken);
    world
        .force(&key, "updated_at = now() - interval '361 seconds'")
        .await;
    let seen = candidate(&world, &key).await;
    assert!(seen.worked_on.unwrap() >= quiet);
    let moved = world.catalog.reroute(&wish(&seen, quiet)).await.unwrap();
    assert_eq!(moved, Advance::Done(()));
}

#[tokio::test]
async fn a_lease_that_ran_out_counts_from_its_end_and_stays_a_suspicion() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    world.destination("acme", "other-bucket").await;
    let key = &event.key;
    world
        .force(
            key,
            "lease_until = now() - interval '10 s', updated_at = now() - interval '1 h'",
        )
        .await;
    let seen = candidate(&world, key).await;
    let ago = seen.worked_on.unwrap();
    assert!(
        ago >= Duration::from_secs(10) && ago < Duration::from_secs(3000),
        "{ago:?}"
    );
    assert_eq!(seen.parked, None);
    let moved = world.catalog.reroute(&wish(&seen, NO_QUIET)).await.unwrap();
    assert_eq!(moved, Advance::Done(()));
    // Whoever had it can write nothing down any more.
    let stored = proven(&grant);
    let late = world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(late, Advance::Overtaken);
    let next = world.granted_due(key).await;
    assert_eq!(next.unclean_claims, 1);
    assert_eq!(next.staged.destination().revision, seen.to.revision);
}

#[tokio::test]
async fn what_is_stored_or_released_is_never_moved() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let other = world.destination("acme", "other-bucket").await;
    let catalog = &world.catalog;
    let reroutable = async || catalog.reroutable(&event.key, None).await.unwrap();
    assert!(matches!(
        reroutable().await,
        Reroutable::Beyond(State::Stored)
    ));
    let change = format!("destination_revision = {other}, reroute_note = 'x'");
    assert!(world.try_force(&event.key, &change).await.is_err());
    let grant = world.release_granted(&event.key).await;
    catalog
        .release(&event.key, &grant.lease, "deleted")
        .await
        .unwrap();
    assert!(matches!(
        reroutable().await,
        Reroutable::Beyond(State::Released)
    ));
    assert!(world.try_force(&event.key, &change).await.is_err());
    let unknown = announced("rec-2");
    let unknown = catalog.reroutable(&unknown.key, None).await.unwrap();
    assert!(matches!(unknown, Reroutable::NoRow));
}

#[tokio::test]
async fn a_pin_changes_in_no_other_way_and_never_to_another_customers_bucket() {
    let (world, key) = parked_and_switched().await;
    world.account("globex").await;
    let theirs = world.destination("globex", "globex-bucket").await;
    let platform = world.destination("default", "platform").await;
    let seen = candidate(&world, &key).await;
    let mine = seen.to.revision;
    for (change, refused) in [
        (format!("destination_revision = {mine}"), true),
        (
            format!("destination_revision = {mine}, reroute_note = ''"),
            true,
        ),
        (
            format!("destination_revision = {theirs}, reroute_note = 'x'"),
            true,
        ),
        (
            "destination_revision = 999, reroute_note = 'x'".to_owned(),
            true,
        ),
        (
            "destination_revision = null, reroute_note = 'x'".to_owned(),
            true,
        ),
        ("reroute_note = 'nothing else'".to_owned(), true),
        (
            format!("destination_revision = {mine}, reroute_note = 'x', lease_until = now()"),
            true,
        ),
        (
            format!("destination_revision = {mine}, reroute_note = 'x'"),
            false,
        ),
        (
            format!("destination_revision = {platform}, reroute_note = 'y'"),
            false,
        ),
    ] {
        let tried = world.try_force(&key, &change).await;
        assert_eq!(tried.is_err(), refused, "{change}: {tried:?}");
    }
    // Each left its row in history; none was written for what was refused.
    let moves = "select count(*) from recording_history where by_whom = 'reroute'";
    assert_eq!(world.sql(moves).await, "2");
    // Asked for by number, another customer's revision does not exist.
    let foreign = world.catalog.reroutable(&key, Some(theirs)).await.unwrap();
    assert!(matches!(foreign, Reroutable::NoTarget));
    let own = world.catalog.reroutable(&key, Some(mine)).await.unwrap();
    assert!(matches!(own, Reroutable::May(_)));
}

#[tokio::test]
async fn an_open_upload_is_left_behind_and_is_looked_for() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let (catalog, key) = (&world.catalog, &event.key);
    let upload = Upload {
        id: "u-1".to_owned(),
        part_bytes: 5 << 20,
        identity: Identity {
            size_bytes: 480_044,
            mtime_ns: 1,
            inode: 2,
            entity: None,
        },
        parts: Vec::new(),
    };
    catalog
        .upload_begun(key, &grant.lease, &upload)
        .await
        .unwrap();
    let refused = parking(ParkReason::AccessDenied);
    catalog.park(key, &grant.lease, &refused).await.unwrap();
    // Another credential for the same bucket: the new one reaches the upload too.
    let mut same = bucket("acme-bucket");
    same.role_arn = Some("arn:aws:iam::123456789012:role/other".to_owned());
    world.set("acme", &same).await.unwrap();
    world.sql("delete from upload_sweeps").await;
    // What a bucket as staging calls the original goes with the upload.
    world.force(key, "upload_entity = 'e-1'").await;
    let seen = candidate(&world, key).await;
    assert!(seen.same_bucket && seen.stays_in_place());
    assert_eq!(seen.upload_id.as_deref(), Some("u-1"));
    catalog.reroute(&wish(&seen, NO_QUIET)).await.unwrap();
    let known = catalog.known_upload(key).await.unwrap().unwrap();
    assert_eq!(known.upload_id, None);
    let sweeps = "select string_agg(revision::text, ' ' order by revision) from upload_sweeps";
    let both = format!("{} {}", seen.from.revision, seen.to.revision);
    assert_eq!(world.sql(sweeps).await, both);
}

#[tokio::test]
async fn what_waits_for_a_destination_is_not_rerouted() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let event = announced("rec-1");
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(matches!(claimed, Claimed::NoDestination(_)));
    let unpinned = world.catalog.reroutable(&event.key, None).await.unwrap();
    assert!(matches!(unpinned, Reroutable::Unpinned));
}

#[tokio::test]
async fn one_that_is_due_again_without_a_move_is_driven_and_no_other() {
    let (world, key) = parked_and_switched().await;
    assert!(world.catalog.due_now(&key).await.unwrap());
    let due = "due_at <= now() and next_attempt_at <= now() and state = 'parked'";
    assert_eq!(world.column(&key, due).await, "t");
    let staged = announced("rec-2");
    world.granted(&staged).await;
    assert!(!world.catalog.due_now(&staged.key).await.unwrap());
}

#[tokio::test]
async fn a_move_and_a_claim_at_the_same_time_never_both_win() {
    let world = World::settled().await;
    let rival = world.another(|_| {});
    let (mut moved, mut claimed) = (0, 0);
    for round in 0..40 {
        let event = announced(&format!("rec-{round}"));
        let grant = world.granted(&event).await;
        let parked = parking(ParkReason::AccessDenied);
        world
            .catalog
            .park(&event.key, &grant.lease, &parked)
            .await
            .unwrap();
        world.destination("acme", &format!("bucket-{round}")).await;
        world.force(&event.key, "next_attempt_at = now()").await;
        let seen = candidate(&world, &event.key).await;
        let wish = wish(&seen, NO_QUIET);
        let (move_, claim) =
            tokio::join!(world.catalog.reroute(&wish), rival.claim_due(&event.key));
        let claim = match claim.unwrap() {
            // Its statement began before the move's, by whose clock the recording is due.
            Claimed::Waits(State::Parked) => {
                assert_eq!(move_, Ok(Advance::Done(())));
                rival.claim_due(&event.key).await.unwrap()
            }
            other => other,
        };
        let grant = granted(claim);
        let went = grant.staged.destination().revision;
        match move_.unwrap() {
            // Moved first: whoever claims after it goes to the new place.
            Advance::Done(()) => {
                assert_eq!(went, seen.to.revision);
                moved += 1;
            }
            // Claimed first: it keeps the place that it was told, and can finish there.
            Advance::Overtaken => {
                assert_eq!(went, seen.from.revision);
                claimed += 1;
            }
        }
        let row = world.column(&event.key, "destination_revision").await;
        assert_eq!(row, went.to_string());
        let stored = rival.store(&grant.lease, &proven(&grant)).await.unwrap();
        assert_eq!(stored, Advance::Done(()));
    }
    println!("{moved} moves won, {claimed} claims won");
}

#[tokio::test]
async fn many_moves_of_one_recording_at_the_same_time_are_one() {
    let (world, key) = parked_and_switched().await;
    let seen = candidate(&world, &key).await;
    let wish = wish(&seen, NO_QUIET);
    let moves = join_all((0..8).map(|_| world.catalog.reroute(&wish))).await;
    let won = moves
        .into_iter()
        .filter(|moved| matches!(moved, Ok(Advance::Done(()))))
        .count();
    assert_eq!(won, 1);
    let moves = "select count(*) from recording_history where by_whom = 'reroute'";
    assert_eq!(world.sql(moves).await, "1");
}

#[tokio::test]
async fn each_revision_says_how_many_recordings_it_holds() {
    let (world, key) = parked_and_switched().await;
    let seen = candidate(&world, &key).await;
    let (old, new) = (seen.from.revision, seen.to.revision);
    let mut later = announced("rec-2");
    later.completed_at = "2199-01-01T00:00:00Z".parse().unwrap();
    later.started_at = later.completed_at;
    world.stored(&later).await;
    let grant = world.release_granted(&later.key).await;
    world
        .catalog
        .release(&later.key, &grant.lease, "deleted")
        .await
        .unwrap();
    world.account("globex").await;
    let theirs = world.destination("globex", "globex-bucket").await;
    world.granted(&announced_of("globex", "rec-9")).await;
    let acme = super::world::owner("acme");
    let counts = world.catalog.count_pinned(Some(&acme)).await.unwrap();
    let of = |revision: &i64| {
        let of = counts.get(revision).copied().unwrap_or_default();
        (of.staged, of.parked, of.stored, of.released)
    };
    assert_eq!(of(&old), (0, 1, 0, Some(0)));
    assert_eq!(of(&new), (0, 0, 0, Some(1)));
    assert_eq!(counts.get(&theirs), None);
    let all = world.catalog.count_pinned(None).await.unwrap();
    assert_eq!(all.get(&theirs).unwrap().staged, 1);
    assert_eq!(all.get(&old).unwrap().released, None);
}
