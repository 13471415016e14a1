//! What the tests share: a broker with our topology, a publisher that runs, handlers that do as
//! the test says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    BrokerStats, Consumer, ConsumerHealth, ConsumerSettings, Publisher, RawMessage, Settings,
    publisher, topology,
};
use callferry_tests::patience;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Rabbit;
use chrono::{DateTime, Utc};
use recording::{Clock, Delivery, Handler, Outgoing, Probe, Queue, Route, Settlement};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for anything that should happen, on a machine that compiles as well.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A clock that stands.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }
    fn boot(&self) -> Duration {
        Duration::ZERO
    }
}

/// A broker that several tests use at once, each in a virtual host of its own. It goes with the
/// last of them. The directory goes after the server in it.
pub(crate) struct Shared {
    pub(crate) rabbit: Rabbit,
    _scratch: Scratch,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());

async fn shared() -> Arc<Shared> {
    let mut known = SHARED.lock().await;
    if let Some(running) = known.upgrade() {
        return running;
    }
    let scratch = Scratch::new("broker").unwrap();
    let rabbit = Rabbit::obtain(scratch.path()).await.unwrap();
    let started = Arc::new(Shared {
        rabbit,
        _scratch: scratch,
    });
    *known = Arc::downgrade(&started);
    started
}

pub(crate) fn settings(rabbit: &Rabbit, vhost: &str) -> Settings {
    let url = rabbit.amqp_url_of(vhost).parse().unwrap();
    let mut settings = Settings::new(url, "test", Arc::new(Noon));
    let at = rabbit.management_url();
    let at = at.replace("://", "://guest:guest@");
    settings.management = Some(at.parse().unwrap());
    settings
}

/// A virtual host of one test's own on the shared broker.
pub(crate) struct Lab {
    pub(crate) shared: Arc<Shared>,
    pub(crate) vhost: String,
    pub(crate) settings: Settings,
}

impl Lab {
    /// Without our topology.
    pub(crate) async fn bare() -> Self {
        let shared = shared().await;
        let vhost = format!("broker-{}", Uuid::new_v4().simple());
        shared.rabbit.create_vhost(&vhost).await.unwrap();
        let settings = settings(&shared.rabbit, &vhost);
        Self {
            shared,
            vhost,
            settings,
        }
    }

    /// With our topology.
    pub(crate) async fn new() -> Self {
        let lab = Self::bare().await;
        topology::apply(&lab.settings).await.unwrap();
        lab
    }

    /// One call of the management API; `{vhost}` stands for ours.
    pub(crate) async fn manage(
        &self,
        method: &str,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> serde_json::Value {
        let management = self.shared.rabbit.management();
        let path = path.replace("{vhost}", &self.vhost);
        management.call(method, &path, body).await.unwrap()
    }
}

/// What a test runs beside itself. Dropping it ends everything at once.
#[derive(Default)]
pub(crate) struct Running {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Running {
    /// A publisher with a live session.
    pub(crate) async fn publisher(&mut self, settings: &Settings) -> Publisher {
        let (publisher, _) = self.publisher_and_stats(settings).await;
        publisher
    }

    pub(crate) async fn publisher_and_stats(
        &mut self,
        settings: &Settings,
    ) -> (Publisher, Arc<BrokerStats>) {
        let stats = Arc::new(BrokerStats::default());
        let (publisher, worker) = publisher(settings, &stats);
        self.tasks.spawn(worker.run(CancellationToken::new()));
        timeout(SOON, publisher.until_live()).await.unwrap();
        (publisher, stats)
    }

    /// A consumer, made ready by `prepare`.
    pub(crate) fn consumer(
        &mut self,
        settings: ConsumerSettings,
        handler: Arc<dyn Handler>,
        quarantine: &Publisher,
    ) -> Watched {
        self.consumer_with_probe(settings, handler, quarantine, Arc::new(Switch::on()))
    }

    pub(crate) fn consumer_with_probe(
        &mut self,
        settings: ConsumerSettings,
        handler: Arc<dyn Handler>,
        quarantine: &Publisher,
        probe: Arc<dyn Probe>,
    ) -> Watched {
        let (health, stats) = (ConsumerHealth::new(), Arc::new(BrokerStats::default()));
        let consumer = Consumer {
            settings,
            handler,
            probe,
            quarantine: quarantine.clone(),
            health: health.clone(),
            stats: Arc::clone(&stats),
        };
        self.tasks.spawn(consumer.run(self.stop.clone()));
        Watched { health, stats }
    }

    /// Asks consumers to stop, and waits until they say so.
    pub(crate) async fn stop(&self, consumer: &Watched) {
        self.stop.cancel();
        consumer
            .until("it has stopped", |state| {
                *state == broker::ConsumerState::Stopped
            })
            .await;
    }
}

/// A consumer seen from outside.
pub(crate) struct Watched {
    pub(crate) health: ConsumerHealth,
    pub(crate) stats: Arc<BrokerStats>,
}

impl Watched {
    pub(crate) async fn until(
        &self,
        what: &str,
        good: impl Fn(&broker::ConsumerState) -> bool,
    ) -> broker::ConsumerState {
        let mut watching = self.health.watch();
        let Ok(found) = timeout(SOON, watching.wait_for(|state| good(state))).await else {
            panic!("waited in vain until {what}: {:?}", self.health.state());
        };
        found.unwrap().clone()
    }

    pub(crate) async fn until_consuming(&self) {
        self.until("it consumes", broker::ConsumerState::is_ready)
            .await;
    }
}

/// Something outside that can be down.
pub(crate) struct Switch(AtomicBool);

impl Switch {
    pub(crate) fn on() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(crate) fn turn(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Probe for Switch {
    async fn probe(&self) -> Result<(), String> {
        let on = self.is_on();
        on.then_some(()).ok_or_else(|| "switched off".to_owned())
    }
}

/// A delivery whose handler waits for the test's answer. Dropping it leaves the handler waiting.
pub(crate) struct Asked {
    pub(crate) delivery: Delivery,
    answer: Option<oneshot::Sender<Settlement>>,
}

impl Asked {
    pub(crate) fn answer(mut self, settlement: Settlement) {
        let answer = self.answer.take().unwrap();
        // The handler may have been dropped.
        drop(answer.send(settlement));
    }

    pub(crate) fn id(&self) -> String {
        self.delivery.message_id.clone().unwrap()
    }
}

/// Hands every delivery to the test.
pub(crate) struct Asking(mpsc::UnboundedSender<Asked>);

#[async_trait]
impl Handler for Asking {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        let (answer, answered) = oneshot::channel();
        let answer = Some(answer);
        drop(self.0.send(Asked { delivery, answer }));
        match answered.await {
            Ok(settlement) => settlement,
            Err(_) => std::future::pending().await,
        }
    }
}

/// The test's end of [`Asking`].
pub(crate) struct Questions(mpsc::UnboundedReceiver<Asked>);

impl Questions {
    pub(crate) async fn next(&mut self) -> Asked {
        timeout(SOON, self.0.recv()).await.unwrap().unwrap()
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn quiet(&mut self) -> bool {
        let waited = timeout(Duration::from_millis(500), self.0.recv()).await;
        !matches!(waited, Ok(Some(_)))
    }
}

pub(crate) fn asking() -> (Arc<dyn Handler>, Questions) {
    let (to, from) = mpsc::unbounded_channel();
    (Arc::new(Asking(to)), Questions(from))
}

/// A message for a queue of ours.
pub(crate) fn raw(queue: Queue, id: &str) -> RawMessage {
    RawMessage {
        queue,
        message_id: Some(id.to_owned()),
        content_type: Some("application/cloudevents+json".to_owned()),
        content_encoding: None,
        headers: Vec::new(),
        body: format!("{{\"id\":\"{id}\"}}").into(),
    }
}

/// An event for the exchange.
pub(crate) fn event(key: &'static str, id: &str) -> Outgoing {
    Outgoing {
        route: Route::Topic(key),
        message_id: id.to_owned(),
        body: b"{}".to_vec(),
        headers: vec![("traceparent".to_owned(), "00-aa-bb-01".to_owned())],
    }
}

/// Waits until exactly `count` messages are ready.
pub(crate) async fn until_ready(publisher: &Publisher, queue: Queue, count: u32) {
    patience::until("the queue holds what it must", SOON, async || {
        let ready = recording::Publisher::ready(publisher, queue).await;
        Ok((ready == Ok(count)).then_some(()))
    })
    .await
    .unwrap();
}
