//! Servers keep what they confirmed, do what they are told, and leave nothing running.

use callferry_tests::scratch::Scratch;
use callferry_tests::servers::moto::{Moto, Setting};
use callferry_tests::servers::{Postgres, Rabbit};
use callferry_tests::{environment, patience};
use serde_json::json;
use tokio::time::timeout;

use crate::{A_WHILE, SOON, until_no_process_is_left_in};

async fn put_a_message(rabbit: &Rabbit, queue: &str) {
    let body = json!({"properties": {"delivery_mode": 2}, "routing_key": queue,
        "payload": "hello", "payload_encoding": "string"});
    let path = "/api/exchanges/%2F/amq.default/publish";
    let said = rabbit
        .management()
        .call("POST", path, Some(body))
        .await
        .unwrap();
    assert_eq!(said["routed"], true);
}

#[tokio::test]
async fn a_broker_keeps_its_messages_over_a_crash_and_a_stop_and_leaves_no_process() {
    let scratch = Scratch::new("harness-rabbit").unwrap();
    let dir = scratch.folder("rabbit").unwrap();
    let mut rabbit = Rabbit::start(&dir).await.unwrap();
    let queue = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    rabbit
        .management()
        .call("PUT", "/api/queues/%2F/kept", Some(queue))
        .await
        .unwrap();
    put_a_message(&rabbit, "kept").await;
    rabbit.remembers("kept").await.unwrap();

    rabbit.kill9().unwrap();
    assert!(
        rabbit
            .management()
            .call("GET", "/api/overview", None)
            .await
            .is_err()
    );
    rabbit.restart().await.unwrap();
    let messages = patience::until("the queue is back", SOON, async || {
        Ok(rabbit
            .peek("kept", 5)
            .await
            .ok()
            .filter(|messages| !messages.is_empty()))
    });
    assert_eq!(messages.await.unwrap()[0]["payload"], "hello");

    rabbit.stop().await.unwrap();
    until_no_process_is_left_in(&dir).await;
    rabbit.restart().await.unwrap();
    let depth = patience::until("the depth is counted", SOON, async || {
        Ok(rabbit
            .queue_depth("kept")
            .await
            .ok()
            .filter(|depth| depth.ready == 1))
    });
    assert_eq!(depth.await.unwrap().unsettled, 0);

    drop(rabbit);
    until_no_process_is_left_in(&dir).await;
}

async fn memory_alarm_becomes(rabbit: &Rabbit, raised: bool) {
    patience::until("the broker reports its memory alarm", SOON, async || {
        let nodes = rabbit.management().call("GET", "/api/nodes", None).await?;
        Ok((nodes[0]["mem_alarm"].as_bool() == Some(raised)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_can_be_blocked_unbound_and_shared_by_virtual_hosts() {
    let scratch = Scratch::new("harness-meddling").unwrap();
    let mut rabbit = Rabbit::start(scratch.path()).await.unwrap();
    rabbit.block_publishers().await.unwrap();
    memory_alarm_becomes(&rabbit, true).await;
    rabbit.unblock_publishers().await.unwrap();
    memory_alarm_becomes(&rabbit, false).await;

    let api = rabbit.management();
    api.call(
        "PUT",
        "/api/queues/%2F/bound",
        Some(json!({"durable": true})),
    )
    .await
    .unwrap();
    let between = "/api/bindings/%2F/e/amq.topic/q/bound";
    let key = json!({"routing_key": "recording.stored.v1"});
    api.call("POST", between, Some(key)).await.unwrap();
    rabbit
        .delete_binding("amq.topic", "bound", "recording.stored.v1")
        .await
        .unwrap();
    assert!(
        rabbit
            .delete_binding("amq.topic", "bound", "recording.stored.v1")
            .await
            .is_err()
    );
    rabbit.delete_queue("bound").await.unwrap();
    assert!(rabbit.queue_depth("bound").await.is_err());

    rabbit.create_vhost("another/one").await.unwrap();
    assert!(
        rabbit
            .amqp_url_of("another/one")
            .ends_with("/another%2Fone")
    );
    rabbit.close_all_connections().await.unwrap();
}

#[tokio::test]
async fn a_database_keeps_what_it_committed_over_crashes_and_leaves_no_process() {
    let scratch = Scratch::new("harness-postgres").unwrap();
    let dir = scratch.folder("postgres").unwrap();
    let mut postgres = Postgres::start(&dir).await.unwrap();
    postgres.create_database("ledger").await.unwrap();
    postgres
        .sql("ledger", "CREATE TABLE kept (number int)")
        .await
        .unwrap();
    assert_eq!(postgres.sql("ledger", "SHOW fsync").await.unwrap(), "on");
    for round in 1..=3 {
        postgres
            .sql("ledger", &format!("INSERT INTO kept VALUES ({round})"))
            .await
            .unwrap();
        postgres.kill9().unwrap();
        assert!(postgres.sql("ledger", "SELECT 1").await.is_err());
        postgres.restart().await.unwrap();
        let count = postgres
            .sql("ledger", "SELECT count(*) FROM kept")
            .await
            .unwrap();
        assert_eq!(count, round.to_string());
    }
    postgres.stop().await.unwrap();
    until_no_process_is_left_in(&dir).await;
    postgres.restart().await.unwrap();
    assert_eq!(
        postgres
            .sql("ledger", "SELECT count(*) FROM kept")
            .await
            .unwrap(),
        "3"
    );
    drop(postgres);
    until_no_process_is_left_in(&dir).await;
}

#[tokio::test]
async fn a_frozen_database_answers_when_it_thaws() {
    let scratch = Scratch::new("harness-frozen").unwrap();
    let mut postgres = Postgres::start(scratch.path()).await.unwrap();
    postgres.create_database("ledger").await.unwrap();
    postgres.freeze().unwrap();
    assert!(
        timeout(A_WHILE, postgres.sql("ledger", "SELECT 1"))
            .await
            .is_err()
    );
    postgres.thaw().unwrap();
    assert_eq!(postgres.sql("ledger", "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn moto_enforces_the_role_its_external_id_and_its_policy_once_it_is_set_up() {
    let scratch = Scratch::new("harness-moto").unwrap();
    let Some(moto) = Moto::start(scratch.path()).await.unwrap() else {
        return;
    };
    let actions = ["s3:PutObject"];
    let setting = Setting {
        bucket: "cust",
        external_id: "ext-1",
        actions: &actions,
        prefix: "rec/",
    };
    let identities = moto.set_up(&setting).await.unwrap();
    assert!(identities.role_arn.starts_with("arn:aws:iam::"));
    assert!(!identities.secret_access_key.is_empty());
    // Judged by Amazon's own client, so that not only our own code agrees with the emulator.
    let assume = |external_id: &'static str, key: &'static str| {
        let (moto, identities) = (moto.endpoint(), identities.clone());
        let program = environment::local().join("tools/moto/bin/python");
        let script = environment::repository().join("tests/tools/assume.py");
        let mut command = tokio::process::Command::new(program);
        command.arg(script).arg(moto).arg(identities.access_key_id);
        command
            .arg(identities.secret_access_key)
            .arg(identities.role_arn);
        command.args([external_id, "cust", key]).kill_on_drop(true);
        async move {
            let output = command.output().await.unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
    };
    assert_eq!(assume("ext-1", "rec/a").await, "stored");
    assert_eq!(assume("ext-1", "elsewhere/a").await, "AccessDenied");
    assert_eq!(assume("guessed", "rec/a").await, "AccessDenied");
}
