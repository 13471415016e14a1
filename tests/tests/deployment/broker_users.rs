//! What each user of the broker may do, by the broker's own answers: everything in the table, and
//! nothing else.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use callferry_tests::patience;
use serde_json::{Value, json};

use super::production::{LONG, Production};

const QUEUES: [&str; 3] = ["transfer", "cleanup", "quarantine"];
const EVENTS: [&str; 7] = [
    "recording.completed.v1",
    "recording.stored.v1",
    "recording.parked.v1",
    "recording.released.v1",
    "recording.expired.v1",
    "destination.healthy.v1",
    "destination.unhealthy.v1",
];

/// What one user may do.
struct Powers {
    user: &'static str,
    /// Queues it may take messages from.
    reads: &'static [&'static str],
    /// Events it may publish.
    publishes: &'static [&'static str],
    /// Whether it may send straight to a queue, by its name.
    sends: bool,
}

const POWERS: [Powers; 5] = [
    Powers {
        user: "recorder",
        reads: &[],
        publishes: &["recording.completed.v1"],
        sends: false,
    },
    Powers {
        user: "transfer",
        reads: &["transfer"],
        publishes: &["recording.stored.v1", "recording.parked.v1"],
        sends: true,
    },
    Powers {
        user: "cleanup",
        reads: &["cleanup"],
        publishes: &["recording.released.v1", "recording.parked.v1"],
        sends: true,
    },
    Powers {
        user: "housekeeping",
        reads: &["quarantine"],
        publishes: &[
            "recording.released.v1",
            "recording.parked.v1",
            "recording.expired.v1",
            "destination.healthy.v1",
            "destination.unhealthy.v1",
        ],
        sends: true,
    },
    Powers {
        user: "scaler",
        reads: &[],
        publishes: &[],
        sends: false,
    },
];

/// One user at the management API, which does everything as that user, on a channel of its own.
struct AsUser {
    root: String,
    name: String,
    password: String,
}

impl AsUser {
    /// Opens the API to a user; its permissions stay what the definitions say.
    async fn new(production: &Production, user: &str) -> Result<Self> {
        let name = format!("callferry-{user}");
        let password = production.secrets.join("broker").join(&name);
        let password = std::fs::read_to_string(password)?;
        let management = production.platform.rabbit.management();
        let path = format!("/api/users/{name}");
        let opened = json!({"password": password, "tags": "management"});
        management.call("PUT", &path, Some(opened)).await?;
        Ok(Self {
            root: management.url(),
            name,
            password,
        })
    }

    /// Whether the broker did it; an answer that is neither that nor a refusal is an error.
    async fn may(&self, method: &str, path: &str, body: Value) -> Result<bool> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let request = client
            .request(method, format!("{}{path}", self.root))
            .basic_auth(&self.name, Some(&self.password))
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            return Ok(true);
        }
        let refused = ["ACCESS_REFUSED", "Access refused"];
        if refused.iter().any(|sign| text.contains(sign)) {
            return Ok(false);
        }
        bail!("{}: {path}: {status} {text}", self.name)
    }

    async fn may_publish(&self, exchange: &str, key: &str) -> Result<bool> {
        let path = format!("/api/exchanges/callferry/{exchange}/publish");
        let message = json!({"properties": {}, "routing_key": key, "payload": "{}",
                             "payload_encoding": "string"});
        self.may("POST", &path, message).await
    }

    async fn may_read(&self, queue: &str) -> Result<bool> {
        let path = format!("/api/queues/callferry/callferry.{queue}/get");
        let ask = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
        self.may("POST", &path, ask).await
    }

    /// Everything that would change what is there.
    async fn may_declare(&self) -> Result<Vec<&'static str>> {
        let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        let topic = json!({"type": "topic", "durable": true});
        let binding = json!({"routing_key": "recording.completed.v1"});
        let bindings = "/api/bindings/callferry/e/callferry.recordings/q/callferry.transfer";
        let attempts = [
            ("PUT", "/api/queues/callferry/mine", quorum),
            ("PUT", "/api/exchanges/callferry/mine", topic),
            ("POST", bindings, binding),
            (
                "DELETE",
                "/api/queues/callferry/callferry.quarantine",
                json!({}),
            ),
            (
                "DELETE",
                "/api/exchanges/callferry/callferry.recordings",
                json!({}),
            ),
        ];
        let mut done = Vec::new();
        for (method, path, body) in attempts {
            if self.may(method, path, body).await? {
                done.push(path);
            }
        }
        Ok(done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_the_broker_may_do_what_its_role_does_and_nothing_else() -> Result<()> {
    let production = Production::new("broker-users").await?;
    for powers in &POWERS {
        let user = powers.user;
        let asking = AsUser::new(&production, user).await?;
        assert_eq!(asking.may_declare().await?, Vec::<&str>::new(), "{user}");
        let mut reads = BTreeSet::new();
        for queue in QUEUES {
            if asking.may_read(queue).await? {
                reads.insert(queue);
            }
        }
        assert_eq!(
            reads,
            powers.reads.iter().copied().collect(),
            "{user} reads"
        );
        let mut publishes = BTreeSet::new();
        for event in EVENTS {
            if asking.may_publish("callferry.recordings", event).await? {
                publishes.insert(event);
            }
        }
        let allowed = powers.publishes.iter().copied().collect();
        assert_eq!(publishes, allowed, "{user} publishes");
        let sends = asking.may_publish("amq.default", "callferry.quarantine");
        assert_eq!(sends.await?, powers.sends, "{user} sends to queues");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_binary_is_refused_by_the_broker_what_its_user_may_not() -> Result<()> {
    let production = Production::new("broker-binary").await?;
    for user in ["recorder", "transfer", "cleanup", "housekeeping"] {
        let refused = production.fleet(user).run(&["topology", "apply"]).await?;
        assert_ne!(refused.code, Some(0), "{user} declares");
        assert!(refused.stderr.contains("ACCESS_REFUSED"), "{refused:?}");
    }

    // Announcing recordings is a recorder's, and nobody else's.
    let folder = production.platform.staging.join("acme/2026/11/23");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("rec-1.wav"), b"a call")?;
    let folder = folder.to_str().context("a path that is not UTF-8")?;
    let publish = ["publish", "--account", "acme", folder];
    for user in ["transfer", "cleanup", "housekeeping"] {
        let refused = production.fleet(user).run(&publish).await?;
        assert_ne!(refused.code, Some(0), "{user} announces: {refused:?}");
    }
    production.fleet("recorder").must(&publish).await?;

    // A cleanup that comes as transfer never gets to its queue, and says so.
    let stolen = production.broker_url("transfer")?;
    let fleet = production.fleet("cleanup");
    let own = [("CALLFERRY_AMQP_URL", stolen.as_str())];
    let member = fleet.start_with("cleanup-as-transfer", &["cleanup"], &own)?;
    patience::until("it says that it is refused", LONG, async || {
        let (status, text) = member.page("/readyz").await.unwrap_or_default();
        Ok((status == 503 && text.contains("refused")).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sets_the_topology_up_can_make_it_from_nothing_and_see_all_of_it() -> Result<()> {
    let production = Production::new("broker-topology").await?;
    let rabbit = &production.platform.rabbit;
    for queue in QUEUES {
        let path = format!("/api/queues/callferry/callferry.{queue}");
        rabbit.management().call("DELETE", &path, None).await?;
    }
    let path = "/api/exchanges/callferry/callferry.recordings";
    rabbit.management().call("DELETE", path, None).await?;
    let topology = production.fleet("topology");
    let missing = topology.run(&["topology", "check"]).await?;
    assert_ne!(missing.code, Some(0), "{missing:?}");
    topology.must(&["topology", "apply"]).await?;
    let check = topology.must(&["topology", "check", "--json"]).await?;
    let check = check.json()?;
    assert_eq!(check["sound"], true, "{check}");
    assert_eq!(check["complete"], true, "{check}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scaler_sees_how_long_the_queue_is() -> Result<()> {
    let production = Production::new("broker-scaler").await?;
    let url = std::fs::read_to_string(production.secrets.join("scaler-broker"))?;
    let (root, vhost) = url.rsplit_once('/').context("no virtual host")?;
    let path = format!("{root}/api/queues/{vhost}/callferry.transfer");
    let client = reqwest::Client::builder().no_proxy().build()?;
    patience::until("the management API counts", LONG, async || {
        let seen: Value = client
            .get(&path)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?
            .parse()?;
        Ok(seen["messages"].as_u64().map(drop))
    })
    .await
}
