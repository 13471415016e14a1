//! Deleting copies from a container: gone is only what is seen to be gone, by a listing too.

use callferry_tests::remembered;
use recording::{Absence, Expiring, Look, ParkReason, Released, Removal, Removers};

use super::setting::{Setting, access_key};
use super::staged::{announced, clocks};

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

/// Such an account may have begun to keep versions since, and the deleted copy be one.
#[tokio::test]
async fn whoever_may_not_list_never_calls_a_copy_gone() {
    let Some(mut it) = Setting::start("azure-removing").await else {
        return;
    };
    it.become_known_by(it.sas("rcwd", 60));
    it.send("rec", b"RIFF a call").await.unwrap();
    let due = expiring(&released(&it, "rec").await);
    let removers = it.stores.removers();
    for _ in 0..2 {
        let removed = removers.remove(&due.removable().unwrap()).await;
        let denied = removed.unwrap_err();
        assert_eq!(denied.reason, ParkReason::AccessDenied, "{denied}");
        assert!(denied.detail.contains("sp=rcwdxl"), "{denied}");
        let unseen = removers.remains(due.copy().unwrap()).await.unwrap_err();
        assert_eq!(unseen.reason, ParkReason::AccessDenied, "{unseen}");
        // It is gone all the same.
        assert_eq!(it.look("rec").await, Ok(Look::Absent));
    }
    // Known by who may list, the same copy is seen to be gone.
    for identity in [
        it.sas("rcwdxl", 60),
        access_key(it.azurite.key(super::setting::STORAGE_ACCOUNT)),
    ] {
        let mut copy = due.copy().unwrap().clone();
        it.become_known_by(identity);
        copy.destination = it.destination.clone();
        let remains = it.stores.removers().remains(&copy).await.unwrap();
        let gone = remains.gone().unwrap();
        assert_eq!(gone.absence(), Absence::NothingAtTheKey);
    }
}

#[tokio::test]
async fn the_copy_goes_and_nothing_beside_it() {
    let Some(mut it) = Setting::start("azure-removing-one").await else {
        return;
    };
    for identity in [
        it.sas("rcwdxl", 60),
        access_key(it.azurite.key(super::setting::STORAGE_ACCOUNT)),
    ] {
        it.become_known_by(identity);
        for recording in ["rec", "rec-2"] {
            it.send(recording, b"RIFF a call").await.unwrap();
        }
        let due = expiring(&released(&it, "rec").await);
        let removers = it.stores.removers();
        let removable = due.removable().unwrap();
        let removed = removers.remove(&removable).await;
        assert_eq!(removed, Ok(Removal::Asked(1)));
        assert_eq!(removers.remove(&removable).await, Ok(Removal::Asked(0)));
        let remains = removers.remains(due.copy().unwrap()).await.unwrap();
        assert!(remains.gone().is_some());
        assert_eq!(it.look("rec").await, Ok(Look::Absent));
        assert!(matches!(it.look("rec-2").await, Ok(Look::Present(_))));
    }
}
