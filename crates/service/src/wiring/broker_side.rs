//! The broker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use broker::{BrokerFault, BrokerStats, BrokerUrl, ManagementUrl, Publisher, Settings};
use recording::Clock;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::Failure;

/// What helps where a URL is not one of the broker.
const URLS: &str = "as in CALLFERRY_AMQP_URL=amqp://user:password@host:5672/vhost and \
                    CALLFERRY_AMQP_MANAGEMENT_URL=http://user:password@host:15672";

/// How to reach the broker.
pub(crate) fn broker(config: &Config, clock: &Arc<dyn Clock>) -> Result<Settings> {
    let url: BrokerUrl = read(config.amqp_url()?)?;
    let management = config.amqp_management_url.as_ref();
    let management = management.map(read::<ManagementUrl>).transpose()?;
    let authorities_pem = match &config.extra_ca_file {
        None => None,
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("`extra_ca_file` {}: {error}", file.display()))
                .hint("name a PEM file that can be read: CALLFERRY_EXTRA_CA_FILE, or unset it")
        })?),
    };
    Ok(Settings {
        management,
        authorities_pem,
        ..Settings::new(url, "callferry", Arc::clone(clock))
    })
}

fn read<T: std::str::FromStr<Err = BrokerFault>>(secret: &SecretString) -> Result<T> {
    let read = secret.expose_secret().parse::<T>();
    read.map_err(|fault| Failure::usage(fault.to_string()).hint(URLS).into())
}

/// What is wrong with the broker, with what to do about it.
pub(crate) fn broker_failure(fault: BrokerFault) -> anyhow::Error {
    let hint = match &fault {
        BrokerFault::Unreachable(_) | BrokerFault::Silent(_) => {
            "see that RabbitMQ runs and that CALLFERRY_AMQP_URL is right"
        }
        BrokerFault::Management(_) => {
            "see that CALLFERRY_AMQP_MANAGEMENT_URL is right, with user and password, or unset it"
        }
        BrokerFault::Url(..) => URLS,
        BrokerFault::Refused(_) => {
            "see the broker's answer; what is there with other arguments must be deleted first"
        }
    };
    Failure::failed(fault.to_string()).hint(hint).into()
}

/// A publisher with its worker, for commands that publish.
#[derive(Debug)]
pub(crate) struct Publishing {
    publisher: Publisher,
    worker: JoinSet<()>,
    stop: CancellationToken,
}

/// Refuses a broker without our exchange and queues: what is published there is lost.
async fn expect_topology(settings: &Settings) -> Result<()> {
    let look = Settings {
        management: None,
        ..settings.clone()
    };
    let report = broker::topology::check(&look).await;
    let report = report.map_err(broker_failure)?;
    let Some(fault) = report.faults().next() else {
        return Ok(());
    };
    let message = format!("the {} is missing or different", fault.what);
    Err(Failure::failed(message)
        .hint("run `callferry topology apply`, and `topology check` to see more")
        .into())
}

impl Publishing {
    /// Opens a session within `patience`.
    pub(crate) async fn start(
        config: &Config,
        clock: &Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<Self> {
        let settings = broker(config, clock)?;
        expect_topology(&settings).await?;
        let stats = Arc::new(BrokerStats::default());
        let (publisher, worker) = broker::publisher(&settings, &stats);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(stop.clone()));
        let publishing = Self {
            publisher,
            worker: tasks,
            stop,
        };
        if timeout(patience, publishing.publisher.until_live())
            .await
            .is_ok()
        {
            return Ok(publishing);
        }
        publishing.end().await;
        let message = format!("no session with the broker in {} s", patience.as_secs());
        Err(Failure::failed(message)
            .hint("see that RabbitMQ runs and that CALLFERRY_AMQP_URL is right")
            .into())
    }

    /// What publishes.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Closes the session.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while self.worker.join_next().await.is_some() {}
    }
}
