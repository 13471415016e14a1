//! Checks of one bucket after, beside and in spite of each other: what an earlier one left, what
//! another one is doing, and what a long-lived process remembers makes none of them say anything
//! else.

use std::time::Duration;

use recording::{CheckReport, Checker, Diagnosis, ParkReason, Permission};
use storage::Stores;

use super::checking::{KEPT, acme, check, granted, setting, wrong};
use super::setting::{BUCKET, EXTERNAL_ID, ROLE, Setting, s3, settings};
use callferry_tests::s3::{Arranged, Operation, Role};

const HOUR: Duration = Duration::from_secs(3600);

/// A setting with this bucket and all permissions but these.
async fn with(bucket: &str, without: &[Permission]) -> Setting {
    let mut it = setting().await;
    bucket.clone_into(&mut s3(&mut it.destination).bucket);
    it.lab
        .change_role(ROLE, |role| role.permissions = granted(without));
    it
}

async fn by(stores: &Stores, it: &Setting) -> CheckReport {
    stores.checker().check(&it.destination, &acme()).await
}

#[tokio::test]
async fn what_stays_of_one_check_makes_no_later_one_less_certain() {
    for (bucket, without) in [
        (BUCKET, vec![]),
        (KEPT, vec![]),
        (BUCKET, vec![Permission::DeleteObject]),
        (KEPT, vec![Permission::DeleteObjectVersion]),
        (
            KEPT,
            vec![Permission::DeleteObject, Permission::DeleteObjectVersion],
        ),
    ] {
        let it = with(bucket, &without).await;
        for turn in 0..3 {
            let report = check(&it).await;
            let said = report.diagnosis();
            assert_eq!(
                said,
                Diagnosis::Healthy,
                "{bucket} {without:?} {turn}: {report:?}"
            );
            it.lab.age_objects(bucket, HOUR);
        }
        assert!(it.lab.versions(bucket).len() <= 1, "{bucket} {without:?}");
    }
}

#[tokio::test]
async fn checks_within_a_moment_leave_a_few_small_objects_at_most() {
    let it = with(BUCKET, &[Permission::DeleteObject]).await;
    for _ in 0..14 {
        let report = check(&it).await;
        assert_eq!(wrong(&report), ["delete failed"]);
        assert_eq!(report.diagnosis(), Diagnosis::Healthy, "{report:?}");
    }
    assert!(it.lab.versions(BUCKET).len() <= 9);
}

#[tokio::test]
async fn what_a_check_left_that_was_cut_short_is_deleted_by_a_later_one() {
    for bucket in [BUCKET, KEPT] {
        let it = with(bucket, &[]).await;
        let id = "0123456789abcdef0123456789abcdef";
        let probes = [format!("object-{id}"), format!("parts-{id}")];
        for name in probes.iter().map(String::as_str).chain(["notes.txt"]) {
            let key = format!("callferry-check/{name}");
            it.lab.overwrite_object(bucket, &key, b"left").unwrap();
        }
        // It may still be busy.
        assert_eq!(wrong(&check(&it).await), Vec::<String>::new());
        assert_eq!(it.lab.versions(bucket).len(), 3);
        it.lab.age_objects(bucket, HOUR);
        assert_eq!(wrong(&check(&it).await), Vec::<String>::new());
        let left = it.lab.versions(bucket);
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].contains("notes.txt"), "{left:?}");
    }
}

#[tokio::test]
async fn checks_at_once_find_nothing_wrong_whenever_the_others_begin() {
    let lacking = vec![Permission::DeleteObject, Permission::DeleteObjectVersion];
    for (bucket, without) in [(BUCKET, vec![]), (KEPT, vec![]), (BUCKET, lacking)] {
        let it = with(bucket, &without).await;
        let expected = match without.is_empty() {
            true => vec![],
            false => vec!["delete failed".to_owned()],
        };
        let stores = super::setting::stores(settings(&it.lab.endpoint()));
        for step in 0..12 {
            let later = |times: u64| {
                let (stores, it) = (&stores, &it);
                async move {
                    tokio::time::sleep(Duration::from_millis(9 * step * times)).await;
                    by(stores, it).await
                }
            };
            let (one, two, three) = tokio::join!(later(0), later(1), later(2));
            for report in [one, two, three] {
                assert_eq!(wrong(&report), expected, "{bucket} {step}: {report:?}");
                assert_eq!(report.diagnosis(), Diagnosis::Healthy, "{bucket} {step}");
            }
            it.lab.age_objects(bucket, HOUR);
        }
        assert!(it.lab.open_uploads(bucket).is_empty());
        let left = it.lab.versions(bucket);
        // Those that began together before anything had stayed.
        assert!(
            left.len() <= if without.is_empty() { 0 } else { 3 },
            "{left:?}"
        );
    }
}

#[tokio::test]
async fn a_check_says_how_the_role_is_now_whatever_the_process_remembers() {
    let it = with(BUCKET, &[]).await;
    let stores = super::setting::stores(settings(&it.lab.endpoint()));
    assert_eq!(wrong(&by(&stores, &it).await), Vec::<String>::new());
    let broken = Role::new(ROLE, granted(&[])).external_id("another");
    it.lab.put_role(broken.trusting("callferry"));
    let report = by(&stores, &it).await;
    assert_eq!(wrong(&report), ["session failed"]);
    assert!(
        matches!(report.diagnosis(), Diagnosis::Unhealthy { reason, .. }
            if reason == ParkReason::RoleNotAssumable),
        "{report:?}"
    );
    let repaired = Role::new(ROLE, granted(&[])).external_id(EXTERNAL_ID);
    it.lab.put_role(repaired.trusting("callferry"));
    assert_eq!(wrong(&by(&stores, &it).await), Vec::<String>::new());
}

#[tokio::test]
async fn sessions_of_a_check_reach_no_further_than_its_folder() {
    let mut it = with(BUCKET, &[]).await;
    s3(&mut it.destination).prefix = "in/here".to_owned();
    assert_eq!(wrong(&check(&it).await), Vec::<String>::new());
    let asked = it.lab.history().into_iter();
    let asked = asked.filter(|seen| seen.operation == Operation::AssumeRole);
    assert_eq!(asked.count(), 7);
    // A role that may do everything, except below the prefix, is found out all the same.
    let elsewhere = callferry_tests::s3::Policy::bucket(BUCKET, "elsewhere/", &["s3:*"]);
    it.lab
        .change_role(ROLE, |role| role.permissions = elsewhere);
    let report = check(&it).await;
    assert!(!report.is_usable(), "{report:?}");
    it.lab.arrange(BUCKET, Arranged::default());
}
