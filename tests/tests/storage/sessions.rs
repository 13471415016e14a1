//! Sessions: who gets one, what it is good for, what it costs, what happens without one.

use std::time::Duration;

use recording::{DestinationOwner, ParkReason};

use super::client::{Ask, Client};
use super::setting::{BUCKET, EXTERNAL_ID, GRANTED, ROLE, Setting, noise, refused, sent, settings};
use super::tap::Tap;
use callferry_tests::s3::{Fault, FaultRule, Identity, Operation, Policy};
use storage::StoreSettings;

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_the_customers_to_repair_and_costs_one_call() {
    let mut it = Setting::start().await;
    for external_id in [Some("cf-wrong"), None] {
        it.destination.external_id = external_id.map(ToOwned::to_owned);
        it.lab.clear_history();
        for _ in 0..3 {
            let fault = refused(it.send("rec", b"x").await);
            assert_eq!(fault.reason, ParkReason::RoleNotAssumable);
        }
        assert_eq!(it.lab.count(Operation::AssumeRole), 1);
        assert_eq!(it.lab.count(Operation::PutObject), 0);
    }
    it.destination.external_id = Some(EXTERNAL_ID.to_owned());
    sent(it.send("rec", b"x").await);
    it.lab.remove_role(ROLE);
    it.destination.revision = 8;
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::RoleNotAssumable);
}

#[tokio::test]
async fn a_permission_taken_away_is_noticed_at_once_and_given_back_too() {
    let it = Setting::start().await;
    sent(it.send("rec-1", b"x").await);
    let read_only = Policy::bucket(BUCKET, "", &["s3:GetObject"]);
    assert!(
        it.lab
            .change_role(ROLE, |role| role.permissions = read_only)
    );
    let fault = refused(it.send("rec-2", b"x").await);
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    assert!(fault.detail.contains("put"), "{}", fault.detail);
    let all = Policy::bucket(BUCKET, "", &GRANTED);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
    sent(it.send("rec-2", b"x").await);
}

#[tokio::test]
async fn an_outage_of_sts_is_transient_and_a_live_session_outlasts_it() {
    let it = Setting::start().await;
    let down = || {
        let fault = Fault::ErrorBefore {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
        };
        FaultRule::on(Operation::AssumeRole, fault)
    };
    let rule = it.lab.arm(down());
    let fault = refused(it.send("rec-1", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable);
    it.lab.clear_fault(rule);
    sent(it.send("rec-1", b"x").await);
    it.lab.arm(down());
    sent(it.send("rec-2", b"x").await);
    let throttled = Fault::ErrorBefore {
        status: 400,
        code: "Throttling".to_owned(),
    };
    it.lab.clear_faults();
    it.lab.expire_sessions();
    it.lab.arm(FaultRule::on(Operation::AssumeRole, throttled));
    let fault = refused(it.send("rec-3", b"x").await);
    assert_eq!(fault.reason, ParkReason::Throttled);
}

#[tokio::test]
async fn many_transfers_at_once_share_one_session() {
    let it = Setting::start().await;
    let names: Vec<String> = (0..20).map(|number| format!("rec-{number}")).collect();
    let sends = names.iter().map(|name| it.send(name, b"x"));
    for outcome in futures::future::join_all(sends).await {
        sent(outcome);
    }
    assert_eq!(it.lab.count(Operation::AssumeRole), 1);
    it.lab.expire_sessions();
    it.lab.clear_history();
    let names: Vec<String> = (20..40).map(|number| format!("rec-{number}")).collect();
    let sends = names.iter().map(|name| it.send(name, b"x"));
    for outcome in futures::future::join_all(sends).await {
        sent(outcome);
    }
    assert_eq!(it.lab.count(Operation::AssumeRole), 1);
}

#[tokio::test]
async fn sessions_that_are_short_lived_are_renewed_in_time() {
    let it = Setting::start().await;
    it.lab.force_session_lifetime(Some(Duration::from_secs(1)));
    for number in 0..4 {
        sent(it.send(&format!("rec-{number}"), b"x").await);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert!(it.lab.count(Operation::AssumeRole) > 1);
}

#[tokio::test]
async fn each_purpose_has_its_own_session_named_after_it() {
    let it = Setting::start().await;
    let digests = sent(it.send("rec", b"x").await);
    it.prove("rec", digests).await.unwrap();
    for seen in it.lab.history() {
        if seen.operation == Operation::AssumeRole {
            continue;
        }
        let expected = if seen.operation == Operation::PutObject {
            "callferry-write-"
        } else {
            "callferry-look-"
        };
        let name = seen.caller.session_name.unwrap();
        assert!(name.starts_with(expected), "{name}");
        assert_eq!(seen.caller.role_arn.as_deref(), Some(ROLE));
    }
}

/// The newest session that went over the tap, as somebody who stole it.
fn stolen(tap: &Tap, endpoint: &str) -> Client {
    let newest = |name| tap.elements(name).pop().unwrap();
    let mut client = Client::new(endpoint, &newest("AccessKeyId"), &newest("SecretAccessKey"));
    client.token = Some(newest("SessionToken"));
    client
}

#[tokio::test]
async fn no_session_can_do_what_its_purpose_does_not_need() {
    let mut it = Setting::start().await;
    // The customer's role may do everything; only our own session policies narrow it.
    let all = Policy::everything();
    assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
    let endpoint = it.lab.endpoint();
    let tap = Tap::start(it.lab.address()).await;
    let tapped = StoreSettings {
        sts_endpoint: Some(tap.endpoint.clone()),
        ..settings(&endpoint)
    };
    it.stores = super::setting::stores(tapped);
    it.destination.account_leads_key = true;
    let digests = sent(it.send("rec", b"x").await);
    let writer = stolen(&tap, &endpoint);
    it.prove("rec", digests).await.unwrap();
    let looker = stolen(&tap, &endpoint);
    assert_ne!(writer.key, looker.key);
    let mine = format!("/{BUCKET}/{}", it.key("rec"));
    it.lab.overwrite_object(BUCKET, "beta/rec", b"y").unwrap();
    let theirs = format!("/{BUCKET}/beta/rec");
    let list = |prefix: &str| {
        Ask::new("GET", &format!("/{BUCKET}"))
            .query("list-type", "2")
            .query("prefix", prefix)
    };

    assert_eq!(writer.put(&format!("{mine}.more"), b"z").await.status, 200);
    assert_eq!(writer.put(&theirs, b"z").await.status, 403);
    for forbidden in [Ask::new("GET", &mine), Ask::new("HEAD", &mine)] {
        assert_eq!(writer.send(forbidden).await.status, 403);
    }
    assert_eq!(writer.send(Ask::new("DELETE", &mine)).await.status, 403);
    assert_eq!(writer.send(list("acme/")).await.status, 403);

    assert_eq!(looker.send(Ask::new("GET", &mine)).await.status, 200);
    assert_eq!(looker.send(list("acme/")).await.status, 200);
    assert_eq!(looker.send(list("beta/")).await.status, 403);
    assert_eq!(looker.send(list("")).await.status, 403);
    assert_eq!(looker.send(Ask::new("GET", &theirs)).await.status, 403);
    assert_eq!(looker.put(&format!("{mine}.other"), b"z").await.status, 403);
    assert_eq!(looker.send(Ask::new("DELETE", &mine)).await.status, 403);
    let begin = Ask::new("POST", &mine).query("uploads", "");
    assert_eq!(looker.send(begin).await.status, 403);
}

#[tokio::test]
async fn the_platforms_own_bucket_is_written_with_our_own_identity() {
    let mut it = Setting::start().await;
    it.lab.create_bucket("default", "000000000000").unwrap();
    let own = Policy::bucket("default", "", &GRANTED);
    let identity = Identity::new("AKIDPLATFORM", "platform-secret").named("callferry");
    it.lab.put_identity(identity.allowed(own));
    it.destination.owner = DestinationOwner::Default;
    it.destination.account_leads_key = true;
    super::setting::s3(&mut it.destination).bucket = "default".to_owned();
    super::setting::s3(&mut it.destination).role_arn = None;
    let digests = sent(it.send("rec", &noise(6_000_000, 3)).await);
    it.prove("rec", digests).await.unwrap();
    assert_eq!(it.look("none").await, Ok(recording::Look::Absent));
    assert!(it.key("rec").as_str().starts_with("acme/"));
    assert_eq!(it.lab.count(Operation::AssumeRole), 0);
    // A default whose keys do not name the account would mix accounts.
    it.destination.account_leads_key = false;
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.class(), recording::Class::Permanent);
}
