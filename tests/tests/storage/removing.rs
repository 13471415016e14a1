//! Deleting copies: exactly the due one goes, with every version of it, whatever the bucket is;
//! what is kept is told apart; and unknown is never absence.

use callferry_tests::remembered;
use recording::{Expiring, Look, ParkReason, Released, Remains, Removal, Removers};

use super::setting::{
    BUCKET, EXTERNAL_ID, GRANTED, OWNER, ROLE, Setting, announced, clocks, noise,
};
use callferry_tests::s3::{Arranged, Fault, FaultRule, Operation, Policy, Role};

/// What retention needs besides.
const EXPIRING: [&str; 2] = ["s3:DeleteObject", "s3:DeleteObjectVersion"];

fn allow(it: &Setting, actions: &[&str]) {
    let actions: Vec<&str> = GRANTED.iter().chain(actions).copied().collect();
    let role = Role::new(ROLE, Policy::bucket(BUCKET, "", &actions));
    it.lab
        .put_role(role.external_id(EXTERNAL_ID).trusting("callferry"));
}

async fn started(versioned: bool) -> Setting {
    let it = Setting::start().await;
    if versioned {
        it.lab.delete_bucket(BUCKET).unwrap();
        it.lab.create_versioned_bucket(BUCKET, OWNER).unwrap();
    }
    allow(&it, &EXPIRING);
    it
}

/// The recording as the ledger would remember it once its original is gone.
async fn released(it: &Setting, recording: &str) -> Released {
    let Ok(Look::Present(observed)) = it.look(recording).await else {
        panic!("nothing to see of {recording}");
    };
    let size = usize::try_from(observed.size_bytes).unwrap();
    let announced = announced(recording, size);
    remembered::released(
        announced,
        it.destination.clone(),
        it.key(recording),
        observed,
    )
}

fn expiring(released: &Released) -> Expiring {
    remembered::expiring(released, clocks())
}

async fn remove(it: &Setting, released: &Released) -> Result<Removal, recording::Fault> {
    let expiring = expiring(released);
    let removable = expiring.removable().unwrap();
    it.stores.removers().remove(&removable).await
}

async fn remains(it: &Setting, released: &Released) -> Result<Remains, recording::Fault> {
    let expiring = expiring(released);
    it.stores.removers().remains(expiring.copy().unwrap()).await
}

fn left(versions: u32, others: bool, versioned: bool) -> Remains {
    Remains {
        versions,
        others,
        versioned,
    }
}

#[tokio::test]
async fn the_copy_goes_and_nothing_beside_it_in_a_plain_and_in_a_versioned_bucket() {
    for versioned in [false, true] {
        let it = started(versioned).await;
        for recording in ["rec", "rec-2"] {
            it.send(recording, &noise(9, 1)).await.unwrap();
        }
        // A longer key, which a listing shows with it.
        let longer = format!("{}.bak", it.key("rec"));
        it.lab.overwrite_object(BUCKET, &longer, b"theirs").unwrap();
        let due = released(&it, "rec").await;
        assert_eq!(remains(&it, &due).await, Ok(left(1, false, versioned)));
        assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(1)));
        let gone = remains(&it, &due).await.unwrap();
        assert_eq!(gone, left(0, false, versioned));
        assert!(gone.gone().is_some());
        assert_eq!(it.stored("rec"), None);
        assert!(it.stored("rec-2").is_some());
        assert_eq!(it.lab.versions(BUCKET).len(), 2, "no marker stays");
        assert!(it.lab.object(BUCKET, &longer).is_some());
        let seen = it.lab.history().into_iter().rev();
        let mut deletes = seen.filter(|seen| seen.operation == Operation::DeleteObject);
        let name = deletes.next().unwrap().caller.session_name.unwrap();
        assert!(name.starts_with("callferry-expire-"), "{name}");
        // Again: nothing there is fine.
        assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(0)));
    }
}

#[tokio::test]
async fn every_version_of_ours_goes_and_others_versions_and_markers_stay() {
    let it = started(true).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    let key = it.key("rec");
    // The customer hides it and puts something else there; a second copy of ours comes after
    // another marker.
    it.lab.delete_object(BUCKET, key.as_str()).unwrap();
    it.lab
        .overwrite_object(BUCKET, key.as_str(), b"theirs")
        .unwrap();
    it.lab.delete_object(BUCKET, key.as_str()).unwrap();
    it.send("rec", &noise(9, 1)).await.unwrap();
    let before = it.lab.versions(BUCKET).len();
    assert_eq!(remains(&it, &due).await, Ok(left(2, true, true)));
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(2)));
    let after = remains(&it, &due).await.unwrap();
    assert_eq!(after, left(0, true, true));
    assert!(after.gone().unwrap().absence() == recording::Absence::OtherVersionsAtTheKey);
    assert_eq!(it.lab.versions(BUCKET).len(), before - 2);
}

#[tokio::test]
async fn somebody_elses_object_at_the_key_of_a_plain_bucket_stays() {
    let it = started(false).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    let key = it.key("rec");
    it.lab
        .overwrite_object(BUCKET, key.as_str(), b"theirs")
        .unwrap();
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(0)));
    let after = remains(&it, &due).await.unwrap();
    assert_eq!(after, left(0, true, false));
    assert!(after.gone().is_some());
    assert_eq!(it.stored("rec").unwrap(), b"theirs");
    assert_eq!(it.lab.count(Operation::DeleteObject), 0);
}

#[tokio::test]
async fn denied_and_locked_are_told_apart_and_nothing_is_hidden_by_a_marker() {
    let it = started(true).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    allow(&it, &[]);
    it.lab.expire_sessions();
    let denied = remove(&it, &due).await.unwrap_err();
    assert_eq!(denied.reason, ParkReason::AccessDenied);
    assert!(denied.detail.starts_with("delete: 403"), "{denied}");
    assert_eq!(remains(&it, &due).await, Ok(left(1, false, true)));
    allow(&it, &EXPIRING);
    it.lab.expire_sessions();
    let locks = Arranged {
        locks_versions: true,
        ..Arranged::default()
    };
    it.lab.arrange(BUCKET, locks);
    let Ok(Removal::Locked(until, detail)) = remove(&it, &due).await else {
        panic!("not locked");
    };
    assert_eq!(detail, "delete: 403 ObjectLocked");
    assert!(until.is_some(), "the laboratory says until when");
    assert_eq!(it.lab.versions(BUCKET).len(), 1);
    it.lab.arrange(BUCKET, Arranged::default());
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(1)));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_unclear_and_a_look_that_fails_is_no_absence() {
    let it = started(true).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    it.lab
        .arm(FaultRule::on(Operation::DeleteObject, Fault::CloseAfter).once());
    let lost = remove(&it, &due).await;
    assert!(matches!(lost, Ok(Removal::Unclear(_))), "{lost:?}");
    let unseen = || Fault::ErrorBefore {
        status: 500,
        code: "InternalError".to_owned(),
    };
    for operation in [Operation::ListObjectVersions, Operation::HeadObject] {
        let rule = it.lab.arm(FaultRule::on(operation, unseen()));
        let seen = remains(&it, &due).await;
        assert!(seen.is_err(), "{operation:?}: {seen:?}");
        it.lab.clear_fault(rule);
    }
    assert!(remains(&it, &due).await.unwrap().gone().is_some());
}

#[tokio::test]
async fn nothing_is_signed_when_the_lease_is_over() {
    let it = started(false).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    let expiring = expiring(&due);
    let removable = expiring.removable().unwrap();
    expiring.lease().fence.lost();
    let fenced = it.stores.removers().remove(&removable).await.unwrap_err();
    assert_eq!(fenced.reason, ParkReason::Interrupted);
    assert_eq!(it.lab.count(Operation::DeleteObject), 0);
    assert!(it.stored("rec").is_some());
}

/// A copy from before its customer had the bucket keep versions.
async fn older_than_versions(recording: &str) -> (Setting, Released) {
    let it = started(false).await;
    it.send(recording, &noise(9, 1)).await.unwrap();
    let due = released(&it, recording).await;
    assert!(it.lab.enable_versioning(BUCKET).unwrap());
    (it, due)
}

#[tokio::test]
async fn a_copy_older_than_the_buckets_versions_goes_and_no_marker_stays() {
    let (it, due) = older_than_versions("rec").await;
    assert_eq!(remains(&it, &due).await, Ok(left(1, false, false)));
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(1)));
    assert_eq!(it.lab.versions(BUCKET).len(), 0);
    assert!(remains(&it, &due).await.unwrap().gone().is_some());
}

#[tokio::test]
async fn one_whose_versions_may_not_be_deleted_is_denied_and_goes_once_they_may() {
    let (it, due) = older_than_versions("rec").await;
    allow(&it, &["s3:DeleteObject"]);
    it.lab.expire_sessions();
    let denied = remove(&it, &due).await.unwrap_err();
    assert_eq!(denied.reason, ParkReason::AccessDenied);
    assert_eq!(remains(&it, &due).await, Ok(left(1, false, true)));
    allow(&it, &EXPIRING);
    it.lab.expire_sessions();
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(1)));
    let after = remains(&it, &due).await.unwrap();
    assert_eq!(after, left(0, false, true));
}

#[tokio::test]
async fn one_that_is_locked_by_then_is_not_hidden() {
    let (it, due) = older_than_versions("rec").await;
    let locks = Arranged {
        locks_versions: true,
        ..Arranged::default()
    };
    it.lab.arrange(BUCKET, locks);
    let locked = remove(&it, &due).await;
    assert!(matches!(locked, Ok(Removal::Locked(_, _))), "{locked:?}");
    assert!(it.stored("rec").is_some(), "a marker would hide it");
    assert_eq!(it.lab.versions(BUCKET).len(), 1);
}

#[tokio::test]
async fn somebody_elses_object_from_before_the_versions_stays() {
    let it = started(false).await;
    it.send("rec", &noise(9, 1)).await.unwrap();
    let due = released(&it, "rec").await;
    let key = it.key("rec");
    it.lab
        .overwrite_object(BUCKET, key.as_str(), b"theirs")
        .unwrap();
    assert!(it.lab.enable_versioning(BUCKET).unwrap());
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(0)));
    // The copy comes over it: that one goes, by its id.
    it.lab.delete_object(BUCKET, key.as_str()).unwrap();
    it.send("rec", &noise(9, 1)).await.unwrap();
    assert_eq!(remove(&it, &due).await, Ok(Removal::Asked(1)));
    assert_eq!(remains(&it, &due).await, Ok(left(0, true, true)));
    let theirs = format!("{} null", key.as_str());
    assert!(it.lab.versions(BUCKET).contains(&theirs));
}
