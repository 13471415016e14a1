//! A private RabbitMQ broker that can be crashed, restarted, blocked and meddled with; or a
//! virtual host of our own on a broker that already runs.

mod management;
mod node;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use url::Url;

pub use management::{Depth, Management};

use crate::{environment, patience};
use node::Node;

/// A broker takes 6 s when nothing else runs, and ten times that while a compiler does.
const READY: Duration = Duration::from_secs(120);
/// A clean stop hands queues over and syncs them.
const STOPPED: Duration = Duration::from_secs(60);

/// A broker and our virtual host on it.
#[derive(Debug)]
pub struct Rabbit {
    /// The node, when it is ours. `None`: somebody else's broker.
    node: Option<Node>,
    /// Its management API.
    management: Management,
    /// `amqp://user:password@host:port`, without a virtual host.
    server: Url,
    /// The virtual host that [`Rabbit::amqp_url`] names.
    vhost: String,
}

impl Rabbit {
    /// Starts a private broker with its state in `dir` and waits until it answers.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not come up in time.
    pub async fn start(dir: &Path) -> Result<Self> {
        let node = Node::prepare(dir)?;
        let server = Url::parse(&format!("amqp://guest:guest@127.0.0.1:{}", node.amqp_port))?;
        let api = Url::parse(&format!(
            "http://guest:guest@127.0.0.1:{}",
            node.management_port
        ))?;
        let management = Management::new(api)?;
        let mut rabbit = Self {
            node: Some(node),
            management,
            server,
            vhost: "/".to_owned(),
        };
        rabbit.restart().await?;
        Ok(rabbit)
    }

    /// The broker at `CALLFERRY_AMQP_URL` with a virtual host of our own, or else a private one.
    /// For tests that need a broker; those that break it need [`Rabbit::start`].
    ///
    /// # Errors
    /// As [`Rabbit::start`], or when the management API of the existing one cannot be used.
    pub async fn obtain(dir: &Path) -> Result<Self> {
        let Some(existing) = environment::amqp_url() else {
            return Self::start(dir).await;
        };
        let mut server = Url::parse(&existing).context("CALLFERRY_AMQP_URL")?;
        server.set_path("");
        let management = Management::beside(&server)?;
        let vhost = format!("callferry-test-{}", uuid::Uuid::new_v4().simple());
        let mut rabbit = Self {
            node: None,
            management,
            server,
            vhost: vhost.clone(),
        };
        rabbit.create_vhost(&vhost).await?;
        rabbit.vhost = vhost;
        Ok(rabbit)
    }

    /// What clients connect to, virtual host included.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        self.amqp_url_of(&self.vhost)
    }

    /// The same for another virtual host.
    #[must_use]
    pub fn amqp_url_of(&self, vhost: &str) -> String {
        format!(
            "{}/{}",
            self.server.as_str().trim_end_matches('/'),
            management::segment(vhost)
        )
    }

    /// Host and port, for a proxy in front of it.
    ///
    /// # Errors
    /// When the URL names none.
    pub fn address(&self) -> Result<String> {
        let host = self
            .server
            .host_str()
            .context("the broker's URL has no host")?;
        Ok(format!("{host}:{}", self.server.port().unwrap_or(5672)))
    }

    /// The virtual host of [`Rabbit::amqp_url`].
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The management API's address, without credentials.
    #[must_use]
    pub fn management_url(&self) -> String {
        self.management.url()
    }

    /// The management API.
    #[must_use]
    pub fn management(&self) -> &Management {
        &self.management
    }

    fn node(&mut self) -> Result<&mut Node> {
        self.node
            .as_mut()
            .context("CALLFERRY_AMQP_URL names a broker that is not ours to break")
    }

    /// Crashes the broker.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn kill9(&mut self) -> Result<()> {
        self.node()?.kill9()
    }

    /// Waits until a new quorum queue would survive [`Rabbit::kill9`].
    ///
    /// SUBTLE: RabbitMQ 3.10 writes the list of its quorum queues to disk only now and then. A
    /// broker that crashes before that finds the queue's name and not its log: the queue comes back
    /// without a leader and without its messages, confirmed ones too (seen here). Tests that
    /// declare a queue and crash the broker wait for this in between, since the loss is the
    /// broker's and not what they are about.
    ///
    /// # Errors
    /// When the broker is not ours, or has not written it down in time.
    pub async fn remembers(&mut self, queue: &str) -> Result<()> {
        let node = self.node()?;
        let what = format!("the broker writes down the quorum queue {queue}");
        patience::until(&what, READY, async || {
            Ok(node.remembers(queue)?.then_some(()))
        })
        .await
    }

    /// Freezes the broker: connections stay open, nothing answers.
    ///
    /// # Errors
    /// When it is not ours or does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.node()?.signal(Signal::STOP)
    }

    /// Ends [`Rabbit::freeze`].
    ///
    /// # Errors
    /// When it is not ours or does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.node()?.signal(Signal::CONT)
    }

    /// Starts the broker if it does not run, on the same ports and data, and waits for it.
    ///
    /// # Errors
    /// When it is not ours or does not come up in time.
    pub async fn restart(&mut self) -> Result<()> {
        self.node()?.start()?;
        let Self {
            node, management, ..
        } = self;
        patience::until("the broker answers", READY, async || {
            if let Some(node) = node.as_mut() {
                node.must_run()?;
            }
            Ok(management.is_ready().await.then_some(()))
        })
        .await
    }

    /// Stops the broker cleanly; [`Rabbit::restart`] brings it back. Of an existing broker only
    /// our virtual host goes.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(node) = self.node.as_mut() {
            return node.stop(STOPPED).await;
        }
        let path = format!("/api/vhosts/{}", management::segment(&self.vhost));
        self.management.call("DELETE", &path, None).await.map(drop)
    }

    /// Runs `rabbitmqctl` against our node and returns what it printed.
    ///
    /// # Errors
    /// When the broker is not ours, or the command fails.
    pub async fn ctl(&mut self, args: &[&str]) -> Result<String> {
        self.node()?.ctl(args).await
    }

    /// Raises the memory alarm: every connection that publishes is blocked from now on.
    ///
    /// # Errors
    /// As [`Rabbit::ctl`].
    pub async fn block_publishers(&mut self) -> Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0"])
            .await
            .map(drop)
    }

    /// Takes the alarm back.
    ///
    /// # Errors
    /// As [`Rabbit::ctl`].
    pub async fn unblock_publishers(&mut self) -> Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0.4"])
            .await
            .map(drop)
    }

    /// Closes every client connection, from the broker's side.
    ///
    /// # Errors
    /// As [`Rabbit::ctl`].
    pub async fn close_all_connections(&mut self) -> Result<()> {
        self.ctl(&["close_all_connections", "closed by a test"])
            .await
            .map(drop)
    }

    /// Makes a virtual host in which our user may do everything.
    ///
    /// # Errors
    /// When the management API refuses.
    pub async fn create_vhost(&self, name: &str) -> Result<()> {
        let name = management::segment(name);
        self.management
            .call("PUT", &format!("/api/vhosts/{name}"), Some(json!({})))
            .await?;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        let user = management::segment(self.management.user());
        let path = format!("/api/permissions/{name}/{user}");
        self.management
            .call("PUT", &path, Some(all))
            .await
            .map(drop)
    }

    /// Deletes a queue of our virtual host, with everything in it.
    ///
    /// # Errors
    /// When there is none or the management API refuses.
    pub async fn delete_queue(&self, queue: &str) -> Result<()> {
        let path = format!("/api/queues/{}", management::path(&[&self.vhost, queue]));
        self.management.call("DELETE", &path, None).await.map(drop)
    }

    /// Deletes the binding of `queue` to `exchange` by `routing_key`.
    ///
    /// # Errors
    /// When there is none or the management API refuses.
    pub async fn delete_binding(&self, exchange: &str, queue: &str, key: &str) -> Result<()> {
        let between = management::path(&[&self.vhost, "e", exchange, "q", queue]);
        let path = format!("/api/bindings/{between}");
        let bindings = self.management.call("GET", &path, None).await?;
        let mine = bindings.as_array().into_iter().flatten();
        let mine = mine.filter(|binding| binding.get("routing_key") == Some(&json!(key)));
        let props = mine
            .filter_map(|binding| binding.get("properties_key")?.as_str())
            .next();
        let props = props.with_context(|| format!("{queue} is not bound by {key}"))?;
        let path = format!("{path}/{}", management::segment(props));
        self.management.call("DELETE", &path, None).await.map(drop)
    }

    /// How many messages a queue of our virtual host holds, with the management API's delay of a
    /// few seconds: ask again until it says what it must. A passive declare is exact.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn queue_depth(&self, queue: &str) -> Result<Depth> {
        self.management.depth(&self.vhost, queue).await
    }

    /// Looks at up to `count` messages at the head of a queue, which are put back.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn peek(&self, queue: &str, count: u32) -> Result<Vec<Value>> {
        let path = format!(
            "/api/queues/{}/get",
            management::path(&[&self.vhost, queue])
        );
        let ask = json!({"count": count, "ackmode": "ack_requeue_true", "encoding": "auto"});
        let found = self.management.call("POST", &path, Some(ask)).await?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }
}
