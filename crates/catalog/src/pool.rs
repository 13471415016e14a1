//! Connections: a lazy pool in which everything has a limit, and statements that leave no
//! connection behind in an unknown condition.
//!
//! SUBTLE: a query whose future is dropped goes on at the server, and the next user of its
//! connection would wait for it, or find a transaction open. So a connection goes back to the
//! pool only after its statement was answered; otherwise it is closed.

use std::error::Error as _;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, RecyclingMethod, Runtime};
use recording::{LedgerFault, Meter};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::admin::AdminFault;
use crate::failure::{Failure, unavailable};
use crate::settings::Settings;

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: deadpool_postgres::Pool,
    /// How long an answer may take that the server's own limits should have cut off before.
    patience: Duration,
    /// Told how long statements take, and of those that fail.
    meter: Arc<dyn Meter>,
}

/// The connections at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCounts {
    /// Lent, or being made.
    pub in_use: u64,
    /// Open and not lent.
    pub idle: u64,
    /// The most there may be.
    pub max: u64,
    /// Statements that wait for one.
    pub waiting: u64,
}

/// What a connection needs to be made.
#[derive(Clone)]
pub(crate) struct Connector {
    /// Where, as whom, with which limits.
    pub(crate) config: Config,
    /// TLS, where the URL requires it.
    pub(crate) tls: Option<MakeRustlsConnect>,
}

impl Connector {
    /// Reads the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, AdminFault> {
        let mut config = read(&settings.url)?;
        // UTC, because nothing may depend on where the server stands.
        let limits = format!(
            "-c TimeZone=UTC -c statement_timeout={} -c lock_timeout={} \
             -c idle_in_transaction_session_timeout={}",
            settings.statement_timeout.as_millis(),
            settings.lock_timeout.as_millis(),
            settings.statement_timeout.saturating_mul(3).as_millis(),
        );
        let options = match config.get_options() {
            Some(own) => format!("{limits} {own}"),
            None => limits,
        };
        config
            .options(options)
            .application_name(&settings.application_name)
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15));
        let tls = if config.get_ssl_mode() == SslMode::Require {
            Some(MakeRustlsConnect::new(tls()?))
        } else {
            config.ssl_mode(SslMode::Disable);
            None
        };
        Ok(Self { config, tls })
    }
}

/// Reads the URL. What is wrong with it is told only where that cannot be a part of a password
/// that was written without escapes.
fn read(url: &str) -> Result<Config, AdminFault> {
    let refuse = |why: &str| AdminFault::Misconfigured {
        why: format!("`database_url` is not the URL of a database{why}"),
        hint: "as in CALLFERRY_DATABASE_URL=postgres://user:password@host:5432/database; \
               special characters in a password are written as %40 and so on"
            .to_owned(),
    };
    let config = Config::from_str(url).map_err(|error| {
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options = url.split_once('?').map_or("", |(_, options)| options);
        match error.source() {
            Some(source) if is_url && !options.contains('@') => refuse(&format!(": {source}")),
            _ => refuse(""),
        }
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refuse(": it names no host"));
    }
    Ok(config)
}

/// TLS that verifies, by the machine's certificates.
fn tls() -> Result<ClientConfig, AdminFault> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, unreadable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(AdminFault::refused(
            format!("no certificates to verify the database by ({unreadable} unreadable)"),
            "install ca-certificates, or set SSL_CERT_FILE",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AdminFault::refused(format!("TLS: {error}"), "this is a defect"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Pool {
    /// A pool that connects when it is first used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, AdminFault> {
        let Connector { config, tls } = Connector::new(settings)?;
        let how = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match tls {
            Some(tls) => Manager::from_config(config, tls, how),
            None => Manager::from_config(config, NoTls, how),
        };
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(settings.pool_size.max(1))
            .wait_timeout(Some(settings.wait_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| AdminFault::refused(format!("pool: {error}"), "this is a defect"))?;
        let patience = settings
            .statement_timeout
            .saturating_add(Duration::from_secs(2));
        Ok(Self {
            connections,
            patience,
            meter: Arc::clone(&settings.meter),
        })
    }

    /// The connections now.
    pub(crate) fn counts(&self) -> PoolCounts {
        let status = self.connections.status();
        let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
        PoolCounts {
            in_use: count(status.size.saturating_sub(status.available)),
            idle: count(status.available),
            max: count(status.max_size),
            waiting: count(status.waiting),
        }
    }

    /// A connection for several statements that belong together.
    pub(crate) async fn lend(&self) -> Result<Lent, Failure> {
        counted(&*self.meter, self.borrow().await)
    }

    async fn borrow(&self) -> Result<Lent, Failure> {
        Ok(Lent {
            object: Some(self.connections.get().await?),
            patience: self.patience,
            meter: Arc::clone(&self.meter),
        })
    }

    /// Runs one statement. If somebody was in the way, or a migration changed what it returns,
    /// it runs once more.
    pub(crate) async fn rows(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let outcome = match self.once(sql, params).await {
            Err(failure) if failure.is_collision() => self.once(sql, params).await,
            Err(failure) if failure.is_stale_plan() => {
                self.connections.manager().statement_caches.clear();
                self.once(sql, params).await
            }
            outcome => outcome,
        };
        counted(&*self.meter, outcome)
    }

    /// The same for at most one row.
    pub(crate) async fn row(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    async fn once(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let lent = self.borrow().await?;
        let outcome = lent.ask(sql, params).await;
        match &outcome {
            Ok(_) => lent.hand_back(),
            Err(failure) if failure.leaves_connection_usable() => lent.hand_back(),
            Err(_) => drop(lent),
        }
        outcome
    }

    /// Closes every connection that is not lent.
    pub(crate) fn close(&self) {
        self.connections.close();
    }
}

/// A connection that is closed unless it is handed back in a known condition.
pub(crate) struct Lent {
    object: Option<Object>,
    patience: Duration,
    meter: Arc<dyn Meter>,
}

impl Lent {
    fn object(&self) -> Result<&Object, Failure> {
        self.object
            .as_ref()
            .ok_or_else(|| unavailable("the connection was given away"))
    }

    /// Runs one statement of ours, prepared once for each connection.
    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        counted(&*self.meter, self.ask(sql, params).await)
    }

    async fn ask(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let object = self.object()?;
        let began = Instant::now();
        let answered = patiently(self.patience, async {
            let statement = object.prepare_cached(sql).await?;
            Ok(object.query(&statement, params).await?)
        })
        .await;
        self.meter.statement(name(sql), began.elapsed());
        answered
    }

    /// Begins a transaction. If [`Lent::commit`] does not follow, it never happened.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure> {
        self.run("begin").await
    }

    /// Commits and hands back.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        self.run("commit").await?;
        self.hand_back();
        Ok(())
    }

    /// Gives this transaction's statements more time, for what scans.
    pub(crate) async fn take_your_time(&mut self) -> Result<(), Failure> {
        self.patience = Duration::from_secs(130);
        self.run("set local statement_timeout = '120s'").await
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Failure> {
        let object = self.object()?;
        let began = Instant::now();
        let answered = patiently(self.patience, async {
            Ok(object.batch_execute(sql).await?)
        })
        .await;
        self.meter.statement(name(sql), began.elapsed());
        counted(&*self.meter, answered)
    }

    pub(crate) fn hand_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

/// What a statement calls itself in its first line; all that roles run do.
fn name(sql: &'static str) -> &'static str {
    let named = sql.strip_prefix("-- name: ");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    named.map_or("unnamed", |rest| {
        rest.split(|c| !is_word(c)).next().unwrap_or(rest)
    })
}

/// Counts a failure; a race that callers expect is none.
fn counted<T>(meter: &dyn Meter, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(failure) = &outcome
        && !failure.is_race()
    {
        match failure.fault {
            LedgerFault::Unavailable(_) => meter.ledger_failed(false),
            LedgerFault::Corrupt(_) => meter.ledger_failed(true),
        }
    }
    outcome
}

async fn patiently<T>(
    patience: Duration,
    statement: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(patience, statement)
        .await
        .unwrap_or_else(|_| Err(unavailable("no answer in time; the outcome is unknown")))
}
