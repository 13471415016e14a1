//! Declaring, checking and exporting the topology.

use broker::BrokerFault;
use broker::topology::{Condition, apply, check, export};
use serde_json::json;

use crate::lab::{Lab, settings};

#[tokio::test(flavor = "multi_thread")]
async fn applying_twice_changes_nothing_and_whatever_is_deleted_is_found_and_restored() {
    let lab = Lab::new().await;
    apply(&lab.settings).await.unwrap();
    let report = check(&lab.settings).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    let fine = |found: &broker::topology::Finding| found.condition == Condition::Fine;
    assert!(report.findings.iter().all(fine), "{report:?}");
    assert_eq!(report.findings.len(), 10);

    lab.manage("DELETE", "/api/queues/{vhost}/callferry.cleanup", None)
        .await;
    let report = check(&lab.settings).await.unwrap();
    let missing: Vec<&str> = report.faults().map(|one| one.what.as_str()).collect();
    assert_eq!(
        missing,
        [
            "queue callferry.cleanup",
            "binding callferry.recordings -recording.stored.v1-> callferry.cleanup"
        ]
    );
    let mut blind = lab.settings.clone();
    blind.management = None;
    let report = check(&blind).await.unwrap();
    assert_eq!(report.faults().count(), 1);
    let unseen = report.findings.last().unwrap();
    assert!(matches!(unseen.condition, Condition::NotChecked(_)));

    apply(&lab.settings).await.unwrap();
    let binding = "/api/bindings/{vhost}/e/callferry.recordings/q/callferry.transfer/\
                   recording.completed.v1";
    lab.manage("DELETE", binding, None).await;
    let report = check(&lab.settings).await.unwrap();
    let missing: Vec<&str> = report.faults().map(|one| one.what.as_str()).collect();
    assert_eq!(
        missing,
        ["binding callferry.recordings -recording.completed.v1-> callferry.transfer"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_would_lose_messages_is_reported_and_not_taken_over() {
    let lab = Lab::bare().await;
    let other = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let path = "/api/queues/{vhost}/callferry.transfer";
    lab.manage("PUT", path, Some(other)).await;
    let refused = apply(&lab.settings).await.unwrap_err();
    assert!(matches!(&refused, BrokerFault::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("callferry.transfer"));
    let report = check(&lab.settings).await.unwrap();
    let differs = report.faults().any(|one| {
        one.what == "queue callferry.transfer's arguments"
            && matches!(&one.condition, Condition::Differs(why) if why.contains("not set"))
    });
    assert!(differs, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_exchange_is_reported_because_it_would_confirm_what_nobody_gets() {
    let lab = Lab::bare().await;
    let other = json!({
        "type": "topic", "durable": true, "arguments": {"alternate-exchange": "amq.fanout"}
    });
    let path = "/api/exchanges/{vhost}/callferry.recordings";
    lab.manage("PUT", path, Some(other)).await;
    let report = check(&lab.settings).await.unwrap();
    let differs = report.faults().any(|one| {
        one.what.contains("exchange callferry.recordings")
            && matches!(&one.condition, Condition::Differs(why) if why.contains("alternate"))
    });
    assert!(differs, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exported_definitions_make_the_same_topology() {
    let lab = Lab::bare().await;
    let definitions = export(&lab.vhost);
    lab.manage("POST", "/api/definitions/{vhost}", Some(definitions))
        .await;
    let report = check(&lab.settings).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    // And `apply` finds nothing to object to.
    apply(&lab.settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_or_a_password_that_is_wrong_is_said_without_the_password() {
    let lab = Lab::bare().await;
    let nowhere = settings(&lab.shared.rabbit, "no-such-host");
    let fault = check(&nowhere).await.unwrap_err();
    assert!(fault.to_string().contains("no-such-host"), "{fault}");
    let url = lab.shared.rabbit.amqp_url_of(&lab.vhost);
    let mut stranger = lab.settings.clone();
    stranger.url = url.replace(":guest@", ":s3cret@").parse().unwrap();
    let fault = check(&stranger).await.unwrap_err();
    assert!(matches!(fault, BrokerFault::Refused(_)), "{fault}");
    assert!(!format!("{fault} {fault:?} {stranger:?}").contains("s3cret"));
}
