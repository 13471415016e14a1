//! Credentials that end, are taken away, or are wrong: each is told by its own reason, and once it
//! is repaired the same recording goes through. Sessions that end in the middle of an upload.

use std::sync::Arc;
use std::time::Duration;

use recording::{Clock, DestinationOwner, NoMeter, ParkReason, SendFault, SendOutcome};
use storage::Stores;

use super::setting::{
    BUCKET, EXTERNAL_ID, GRANTED, MIB, Movable, ROLE, Setting, Wish, noise, refused, s3, sent,
    settings,
};
use callferry_tests::s3::{Fault, FaultRule, Identity, Operation, Policy, Role};

/// As long as a refusal is remembered.
const PAUSE: Duration = Duration::from_secs(30);

/// One way in which a credential is no good, and back.
struct Row {
    what: &'static str,
    breaks: fn(&Setting),
    repairs: fn(&Setting),
    reason: ParkReason,
    says: &'static str,
}

fn change(it: &Setting, change: impl FnOnce(&mut Role)) {
    assert!(it.lab.change_role(ROLE, change));
}

fn ours(secret: &str) -> Identity {
    Identity::new("AKIDPLATFORM", secret).named("callferry")
}

const ROWS: [Row; 7] = [
    Row {
        what: "the external id is another",
        breaks: |it| change(it, |role| role.external_id = Some("cf-other".to_owned())),
        repairs: |it| change(it, |role| role.external_id = Some(EXTERNAL_ID.to_owned())),
        reason: ParkReason::RoleNotAssumable,
        says: "assume role: 403 AccessDenied",
    },
    Row {
        what: "the role trusts us no more",
        breaks: |it| change(it, |role| role.trusts.clear()),
        repairs: |it| change(it, |role| role.trusts.push("callferry".to_owned())),
        reason: ParkReason::RoleNotAssumable,
        says: "assume role: 403 AccessDenied",
    },
    Row {
        what: "the role is deleted",
        breaks: |it| assert!(it.lab.remove_role(ROLE)),
        repairs: |it| {
            let role = Role::new(ROLE, Policy::bucket(BUCKET, "", &GRANTED));
            it.lab
                .put_role(role.external_id(EXTERNAL_ID).trusting("callferry"));
        },
        reason: ParkReason::RoleNotAssumable,
        says: "assume role: 403 AccessDenied",
    },
    Row {
        what: "the role may not write any more",
        breaks: |it| {
            let read = Policy::bucket(BUCKET, "", &["s3:GetObject"]);
            change(it, |role| role.permissions = read);
        },
        repairs: |it| {
            let all = Policy::bucket(BUCKET, "", &GRANTED);
            change(it, |role| role.permissions = all);
        },
        reason: ParkReason::AccessDenied,
        says: "put: 403 AccessDenied",
    },
    Row {
        what: "our own key is deleted: ours to repair, so it passes",
        breaks: |it| assert!(it.lab.remove_identity("AKIDPLATFORM")),
        repairs: |it| it.lab.put_identity(ours("platform-secret")),
        reason: ParkReason::DestinationUnreachable,
        says: "assume role: 403 InvalidClientTokenId",
    },
    Row {
        what: "our own key was rotated: ours to repair, so it passes",
        breaks: |it| it.lab.put_identity(ours("rotated")),
        repairs: |it| it.lab.put_identity(ours("platform-secret")),
        reason: ParkReason::DestinationUnreachable,
        says: "assume role: 403 SignatureDoesNotMatch",
    },
    Row {
        what: "STS refuses our session's policy",
        breaks: |it| {
            let fault = Fault::ErrorBefore {
                status: 400,
                code: "PackedPolicyTooLarge".to_owned(),
            };
            it.lab.arm(FaultRule::on(Operation::AssumeRole, fault));
        },
        repairs: |it| it.lab.clear_faults(),
        reason: ParkReason::RoleNotAssumable,
        says: "PackedPolicyTooLarge",
    },
];

/// A setting whose stores live by a clock that can be moved on.
async fn setting() -> (Setting, Arc<Movable>) {
    let mut it = Setting::start().await;
    let clock = Arc::new(Movable::default());
    let shared: Arc<dyn Clock> = Arc::<Movable>::clone(&clock);
    it.stores = Stores::new(settings(&it.lab.endpoint()), shared, Arc::new(NoMeter)).unwrap();
    (it, clock)
}

#[tokio::test]
async fn each_broken_credential_has_its_reason_and_its_repair_lets_the_recording_through() {
    for row in &ROWS {
        // Broken before it was ever used, and in the middle of its use.
        for used in [false, true] {
            let (it, clock) = setting().await;
            if used {
                sent(it.send("before", b"x").await);
            }
            (row.breaks)(&it);
            it.lab.expire_sessions();
            for size in [9, 11 * MIB] {
                let fault = refused(it.send("rec", &noise(size, 3)).await);
                assert_eq!(fault.reason, row.reason, "{}: {fault}", row.what);
                let says = match size {
                    9 => row.says.to_owned(),
                    _ => row.says.replace("put:", "create_upload:"),
                };
                assert!(fault.detail.contains(&says), "{}: {fault}", row.what);
                assert!(!fault.detail.contains("secret"), "{fault}");
            }
            assert_eq!(it.stored("rec"), None);
            (row.repairs)(&it);
            clock.move_on(PAUSE);
            let digests = sent(it.send("rec", b"now").await);
            it.prove("rec", digests).await.unwrap();
        }
    }
}

#[tokio::test]
async fn our_own_key_at_our_own_bucket_is_judged_by_the_bucket() {
    let (mut it, clock) = setting().await;
    let own = || Policy::bucket(BUCKET, "", &GRANTED);
    it.lab.put_identity(ours("platform-secret").allowed(own()));
    it.destination.owner = DestinationOwner::Default;
    it.destination.account_leads_key = true;
    s3(&mut it.destination).role_arn = None;
    sent(it.send("before", b"x").await);
    it.lab.remove_identity("AKIDPLATFORM");
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::AccessDenied, "{fault}");
    assert!(fault.detail.contains("InvalidAccessKeyId"), "{fault}");
    it.lab.put_identity(ours("platform-secret").allowed(own()));
    clock.move_on(PAUSE);
    sent(it.send("rec", b"x").await);
}

#[tokio::test]
async fn a_role_of_short_sessions_is_asked_again_for_less_and_remembered() {
    let (it, _clock) = setting().await;
    let shortest = Duration::from_secs(900);
    change(&it, |role| role.session_max = shortest);
    sent(it.send("rec-1", b"x").await);
    assert_eq!(it.lab.count(Operation::AssumeRole), 2);
    it.lab.expire_sessions();
    sent(it.send("rec-2", b"x").await);
    assert_eq!(it.lab.count(Operation::AssumeRole), 3);
    // Who gives less than the least gives nothing.
    change(&it, |role| role.session_max = Duration::from_secs(60));
    it.lab.expire_sessions();
    let fault = refused(it.send("rec-3", b"x").await);
    assert_eq!(fault.reason, ParkReason::RoleNotAssumable, "{fault}");
}

/// How often each part was sent.
fn sendings(it: &Setting, number: u32) -> usize {
    let history = it.lab.history();
    history
        .iter()
        .filter(|seen| seen.part == Some(number))
        .count()
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_of_an_upload_costs_a_renewal_and_no_part() {
    let (it, _clock) = setting().await;
    let original = noise(6 * 5 * MIB, 9);
    let hanging = FaultRule::on(Operation::UploadPart, Fault::HangBefore);
    let hanging = it.lab.arm(hanging.after(2));
    let wish = Wish::default();
    let ends = async {
        let landed = || wish.uploads.remembered().map_or(0, |it| it.parts.len());
        while landed() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        it.lab.expire_sessions();
        it.lab.clear_fault(hanging);
    };
    let (outcome, ()) = tokio::join!(it.send_as("rec", &original, &wish), ends);
    let digests = sent(outcome);
    it.prove("rec", digests).await.unwrap();
    assert!(it.stored("rec").unwrap() == original);
    // One for the upload, and one after it ended; the third looked.
    assert_eq!(it.lab.count(Operation::AssumeRole), 3);
    assert_eq!(it.lab.count(Operation::CreateMultipartUpload), 1);
    let refused = |seen: &callferry_tests::s3::Seen| seen.code.as_deref() == Some("ExpiredToken");
    for number in 1..=6 {
        let mut history = it.lab.history().into_iter();
        let was_refused = history.any(|seen| seen.part == Some(number) && refused(&seen));
        assert_eq!(
            sendings(&it, number),
            1 + usize::from(was_refused),
            "{number}"
        );
    }
    assert!(it.lab.history().iter().any(refused));
}

#[tokio::test]
async fn sessions_shorter_than_the_upload_do_not_stop_it() {
    let (it, clock) = setting().await;
    let original = noise(6 * 5 * MIB, 9);
    it.lab
        .force_session_lifetime(Some(Duration::from_secs(1200)));
    let slowed = Fault::DelayBefore(Duration::from_millis(20));
    it.lab.arm(FaultRule::on(Operation::UploadPart, slowed));
    let wish = Wish::default();
    let ends = async {
        // The life of a session passes again and again.
        for landed in 1..6 {
            let known = || wish.uploads.remembered().map_or(0, |it| it.parts.len());
            while known() < landed {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            clock.move_on(Duration::from_secs(1000));
        }
    };
    let (outcome, ()) = tokio::join!(it.send_as("rec", &original, &wish), ends);
    let digests = sent(outcome);
    it.prove("rec", digests).await.unwrap();
    assert!(it.lab.count(Operation::AssumeRole) > 2);
    for number in 1..=6 {
        assert_eq!(sendings(&it, number), 1, "{number}");
    }
}

#[tokio::test]
async fn a_session_that_ends_before_the_upload_is_completed_costs_a_renewal() {
    let (it, _clock) = setting().await;
    let original = noise(11 * MIB, 9);
    let expired = Fault::ErrorBefore {
        status: 400,
        code: "ExpiredToken".to_owned(),
    };
    for operation in [
        Operation::CreateMultipartUpload,
        Operation::CompleteMultipartUpload,
    ] {
        it.lab.clear_history();
        let rule = it.lab.arm(FaultRule::on(operation, expired.clone()).once());
        let recording = format!("rec-{operation:?}");
        let outcome: Result<SendOutcome, SendFault> = it.send(&recording, &original).await;
        let digests = sent(outcome);
        it.prove(&recording, digests).await.unwrap();
        assert_eq!(it.lab.struck(rule), 1);
        for number in 1..=3 {
            assert_eq!(sendings(&it, number), 1, "{operation:?} {number}");
        }
    }
}
