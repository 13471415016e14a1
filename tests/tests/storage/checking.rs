//! A check of a bucket: all green where all is well, and where one thing is broken exactly the
//! finding that says so.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use recording::{
    AccountId, Capability, CheckReport, Checker, Clock, Finding, NoMeter, ParkReason, Permission,
    Verdict,
};
use storage::Stores;

use super::setting::{BUCKET, Clocks, EXTERNAL_ID, OWNER, ROLE, Setting, s3, settings};
use callferry_tests::s3::{Arranged, Fault, FaultRule, Operation, Policy, Quirks, Role};
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::{Moto, moto};

/// The bucket that keeps versions.
pub(crate) const KEPT: &str = "kept";
/// Its key, where something is encrypted under one.
pub(crate) const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f2b6d3c";

/// All that a role must allow, in both buckets, but these.
pub(crate) fn granted(without: &[Permission]) -> Policy {
    let mut policy = Policy::none();
    for permission in Permission::ALL.iter().filter(|it| !without.contains(it)) {
        let on = match permission.scope() {
            recording::Scope::Objects => ["arn:aws:s3:::calls/*", "arn:aws:s3:::kept/*"],
            recording::Scope::BucketBelowPrefix | recording::Scope::Bucket => {
                ["arn:aws:s3:::calls", "arn:aws:s3:::kept"]
            }
            recording::Scope::Key => [KEY, "aws/s3"],
        };
        policy = policy.allow(&[permission.action()], &on);
    }
    policy
}

/// The laboratory with a role that allows everything that is needed.
pub(crate) async fn setting() -> Setting {
    let mut it = Setting::start().await;
    it.lab.create_versioned_bucket(KEPT, OWNER).unwrap();
    it.lab
        .change_role(ROLE, |role| role.permissions = granted(&[]));
    s3(&mut it.destination).expected_owner = Some(OWNER.to_owned());
    it.destination.revision = 0;
    it
}

pub(crate) fn acme() -> AccountId {
    "acme".parse().unwrap()
}

pub(crate) async fn check(it: &Setting) -> CheckReport {
    // A process of its own each time: refusals are remembered for a while.
    let stores = super::setting::stores(settings(&it.lab.endpoint()));
    stores.checker().check(&it.destination, &acme()).await
}

/// What is not as it should be, as `capability verdict`; what is only skipped is not told.
pub(crate) fn wrong(report: &CheckReport) -> Vec<String> {
    let wrong = report.findings.iter().filter(|it| match it.verdict {
        Verdict::Failed | Verdict::Warned => true,
        Verdict::Passed | Verdict::NotApplicable | Verdict::Skipped => false,
    });
    wrong
        .map(|it| format!("{} {}", it.capability, it.verdict.as_str()))
        .collect()
}

pub(crate) fn of(report: &CheckReport, capability: Capability) -> Finding {
    report.of(capability).unwrap().clone()
}

fn assert_green(report: &CheckReport) {
    assert_eq!(report.findings.len(), Capability::ALL.len());
    for finding in &report.findings {
        let skipped = finding.verdict == Verdict::Skipped;
        let good = match finding.verdict {
            Verdict::Passed | Verdict::NotApplicable => true,
            // Only the ledger knows.
            Verdict::Skipped => finding.capability == Capability::Overlap,
            Verdict::Warned | Verdict::Failed => false,
        };
        assert!(good, "{finding:?} {skipped}");
    }
    assert!(report.is_usable());
}

#[tokio::test]
async fn a_healthy_bucket_is_all_green_and_nothing_is_left_in_it() {
    for (bucket, prefix) in [(BUCKET, ""), (BUCKET, "in/here"), (KEPT, "")] {
        let mut it = setting().await;
        s3(&mut it.destination).bucket = bucket.to_owned();
        s3(&mut it.destination).prefix = prefix.to_owned();
        let report = check(&it).await;
        assert_green(&report);
        assert_eq!(it.lab.versions(bucket), Vec::<String>::new());
        assert!(it.lab.open_uploads(bucket).is_empty());
        let (requests, sessions) = count(&it);
        assert!(requests <= 25, "{bucket}: {requests} requests to S3");
        assert_eq!(sessions, 7);
        // Nothing but its own keys was touched.
        let own = match prefix {
            "" => "callferry-check/".to_owned(),
            some => format!("{some}/callferry-check/"),
        };
        for seen in it.lab.history() {
            let key = seen.key.filter(|_| seen.operation != Operation::AssumeRole);
            assert!(key.is_none_or(|key| key.starts_with(&own)));
        }
        let kept = of(&report, Capability::Versioning).detail;
        assert_eq!(kept.contains("keeps versions"), bucket == KEPT, "{kept}");
    }
}

fn count(it: &Setting) -> (usize, usize) {
    let history = it.lab.history();
    let sessions = history.iter();
    let sessions = sessions.filter(|it| it.operation == Operation::AssumeRole);
    let sessions = sessions.count();
    (history.len() - sessions, sessions)
}

#[tokio::test]
async fn the_platforms_own_bucket_is_checked_with_our_own_identity() {
    let mut it = setting().await;
    let ours = callferry_tests::s3::Identity::new("AKIDPLATFORM", "platform-secret");
    it.lab
        .put_identity(ours.named("callferry").allowed(granted(&[])));
    it.destination.owner = recording::DestinationOwner::Default;
    it.destination.account_leads_key = true;
    s3(&mut it.destination).role_arn = None;
    let stores = super::setting::stores(settings(&it.lab.endpoint()));
    let account = it.destination.owner.checked_as();
    let report = stores.checker().check(&it.destination, &account).await;
    assert_green(&report);
    assert!(it.lab.objects(BUCKET).is_empty());
}

#[tokio::test]
async fn a_role_that_lets_others_in_is_a_confused_deputy() {
    let mut it = setting().await;
    it.lab.change_role(ROLE, |role| role.external_id = None);
    let report = check(&it).await;
    let both = ["external_id_required failed", "external_id_exact failed"];
    assert_eq!(wrong(&report), both);
    assert!(!report.is_usable());
    let remedy = of(&report, Capability::ExternalIdRequired).remedy.unwrap();
    let condition = format!("{{\"StringEquals\":{{\"sts:ExternalId\":\"{EXTERNAL_ID}\"}}}}");
    assert!(remedy.contains(&condition), "{remedy}");

    it = setting().await;
    it.lab.change_role(ROLE, |role| role.any_external_id = true);
    assert_eq!(wrong(&check(&it).await), ["external_id_exact failed"]);
}

#[tokio::test]
async fn what_cannot_be_told_of_a_role_is_worth_a_word() {
    let it = setting().await;
    let busy = Fault::ErrorBefore {
        status: 503,
        code: "ServiceUnavailable".to_owned(),
    };
    // The sessions of the five purposes come first.
    it.lab
        .arm(FaultRule::on(Operation::AssumeRole, busy).after(5));
    let report = check(&it).await;
    assert_eq!(
        wrong(&report),
        ["external_id_required warned", "external_id_exact warned"]
    );
    assert!(report.is_usable());
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_ends_the_check_with_its_trust_policy() {
    let it = setting().await;
    let refusing = Role::new(ROLE, granted(&[])).external_id("another");
    it.lab.put_role(refusing.trusting("callferry"));
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["session failed"]);
    let finding = of(&report, Capability::Session);
    assert_eq!(finding.reason, Some(ParkReason::RoleNotAssumable));
    let remedy = finding.remedy.unwrap();
    assert!(
        remedy.contains(EXTERNAL_ID) && remedy.contains(ROLE),
        "{remedy}"
    );
    let put = of(&report, Capability::Put);
    assert_eq!(put.verdict, Verdict::Skipped);
    assert!(put.detail.contains("`session`"), "{}", put.detail);
}

#[tokio::test]
async fn each_way_to_miss_the_bucket_is_told_from_the_others() {
    let mut it = setting().await;
    s3(&mut it.destination).bucket = "gone".to_owned();
    it.lab
        .change_role(ROLE, |role| role.permissions = Policy::everything());
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["owner failed"]);
    let finding = of(&report, Capability::Owner);
    assert_eq!(finding.reason, Some(ParkReason::BucketMissing));
    assert!(finding.remedy.unwrap().contains("aws s3 mb s3://gone"));

    it = setting().await;
    s3(&mut it.destination).expected_owner = Some("999988887777".to_owned());
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["owner failed"]);
    let finding = of(&report, Capability::Owner);
    assert_eq!(finding.reason, Some(ParkReason::OwnerMismatch));
    assert_eq!(it.lab.count(Operation::PutObject), 0, "no byte was sent");

    it = setting().await;
    let elsewhere = Fault::ErrorBefore {
        status: 301,
        code: "PermanentRedirect".to_owned(),
    };
    it.lab
        .arm(FaultRule::on(Operation::ListObjectsV2, elsewhere));
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["owner failed"]);
    let finding = of(&report, Capability::Owner);
    assert_eq!(finding.reason, Some(ParkReason::WrongRegion));

    it = setting().await;
    it.lab.stop().await;
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["reach failed"]);
}

#[tokio::test]
async fn stores_that_differ_from_s3_are_found_out() {
    let table = [
        (
            Quirks {
                ignores_conditions: true,
                ..Quirks::default()
            },
            vec!["create_only failed", "create_only_multipart failed"],
        ),
        (
            Quirks {
                ignores_conditions_on_complete: true,
                ..Quirks::default()
            },
            vec!["create_only_multipart failed"],
        ),
        (
            Quirks {
                reports_no_checksum: true,
                ..Quirks::default()
            },
            vec!["checksum warned"],
        ),
    ];
    for bucket in [BUCKET, KEPT] {
        for (quirks, expected) in &table {
            let mut it = setting().await;
            s3(&mut it.destination).bucket = bucket.to_owned();
            it.lab.set_quirks(bucket, *quirks);
            let report = check(&it).await;
            assert_eq!(wrong(&report), *expected, "{quirks:?}");
            assert_eq!(it.lab.versions(bucket), Vec::<String>::new(), "{quirks:?}");
            assert!(it.lab.open_uploads(bucket).is_empty(), "{quirks:?}");
        }
    }
}

#[tokio::test]
async fn a_lock_is_seen_and_one_object_stays_however_often_it_is_checked() {
    let mut it = setting().await;
    s3(&mut it.destination).bucket = KEPT.to_owned();
    let locks = Arranged {
        locks_versions: true,
        ..Arranged::default()
    };
    it.lab.arrange(KEPT, locks);
    for _ in 0..3 {
        let report = check(&it).await;
        assert_eq!(wrong(&report), ["delete_version warned", "lock warned"]);
        assert_eq!(of(&report, Capability::Delete).verdict, Verdict::Passed);
        it.lab.age_objects(KEPT, Duration::from_secs(3600));
        let versions = it.lab.versions(KEPT);
        assert_eq!(versions.len(), 1, "{versions:?}");
    }
}

/// A clock that is wrong.
#[derive(Debug)]
struct Wrong(TimeDelta);

impl Clock for Wrong {
    fn now(&self) -> DateTime<Utc> {
        Clocks.now() + self.0
    }
    fn boot(&self) -> Duration {
        Clocks.boot()
    }
}

#[tokio::test]
async fn a_wrong_clock_is_told_before_signatures_are_refused() {
    let it = setting().await;
    for (minutes, verdict) in [
        (0, Verdict::Passed),
        (3, Verdict::Warned),
        (-4, Verdict::Warned),
        (12, Verdict::Failed),
    ] {
        let clock: Arc<dyn Clock> = Arc::new(Wrong(TimeDelta::minutes(minutes)));
        let stores = Stores::new(settings(&it.lab.endpoint()), clock, Arc::new(NoMeter)).unwrap();
        let report = stores.checker().check(&it.destination, &acme()).await;
        let finding = of(&report, Capability::Clock);
        assert_eq!(finding.verdict, verdict, "{minutes}: {finding:?}");
    }
}

#[tokio::test]
async fn no_finding_repeats_a_secret_that_a_store_sends_back() {
    let mut it = setting().await;
    let tap = super::tap::Echo::start().await;
    s3(&mut it.destination).endpoint = Some(tap.endpoint());
    let report = check(&it).await;
    assert!(!report.is_usable());
    let told = serde_json::to_string(&report).unwrap();
    assert!(!tap.tokens().is_empty(), "nothing was sent to it");
    for token in tap.tokens() {
        assert!(!told.contains(&token), "{told}");
    }
    assert!(!told.contains("platform-secret"));
}

#[tokio::test]
async fn moto_lets_a_missing_external_id_through_and_that_is_found() {
    let scratch = Scratch::new("check-moto").unwrap();
    let Some(moto) = Moto::start(scratch.path()).await.unwrap() else {
        return;
    };
    let actions: Vec<&str> = Permission::ALL
        .iter()
        .filter(|it| it.action().starts_with("s3:"))
        .map(|it| it.action())
        .collect();
    let wish = moto::Setting {
        bucket: BUCKET,
        external_id: EXTERNAL_ID,
        actions: &actions,
        prefix: "",
    };
    let identities = moto.set_up(&wish).await.unwrap();
    let mut it = Setting::start().await;
    let key = &identities.access_key_id;
    let secret = &identities.secret_access_key;
    let there = storage::StoreSettings {
        base_identity: storage::BaseIdentity::fixed(key, secret),
        ..settings(&moto.endpoint())
    };
    s3(&mut it.destination).endpoint = Some(moto.endpoint());
    s3(&mut it.destination).role_arn = Some(identities.role_arn);
    let stores = super::setting::stores(there);
    let report = stores.checker().check(&it.destination, &acme()).await;
    let required = of(&report, Capability::ExternalIdRequired);
    assert_eq!(required.verdict, Verdict::Failed, "{required:?}");
    let exact = of(&report, Capability::ExternalIdExact);
    assert_eq!(exact.verdict, Verdict::Passed, "{exact:?}");
    // What else somebody else's understanding of S3 allows.
    for capability in [
        Capability::Reach,
        Capability::Session,
        Capability::Owner,
        Capability::Put,
        Capability::Look,
        Capability::CreateOnly,
    ] {
        let finding = of(&report, capability);
        assert_eq!(finding.verdict, Verdict::Passed, "{finding:?}");
    }
}
