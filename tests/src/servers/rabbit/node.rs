//! One RabbitMQ node as our own child process, with its own name daemon (epmd), cookie and home.
//!
//! Debian's wrappers on `PATH` change the user and refuse all but two; the scripts below
//! `/usr/lib/rabbitmq/bin` run as anyone. The node's script is told that it runs under a service
//! manager: then it *becomes* the Erlang machine instead of starting it, so that the child we
//! signal and reap is the broker itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::child::{Launch, Supervised};
use crate::ports::free_port;

/// Where Debian's package keeps the scripts that its wrappers call.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// The longest a `rabbitmqctl` may take.
const CONTROL: Duration = Duration::from_secs(60);

/// A node: its place, ports and, while it runs, its processes.
#[derive(Debug)]
pub(super) struct Node {
    /// All its state.
    dir: PathBuf,
    /// Where it listens for AMQP.
    pub(super) amqp_port: u16,
    /// Where it listens for the management API.
    pub(super) management_port: u16,
    /// Where it listens for other nodes and `rabbitmqctl`.
    distribution_port: u16,
    /// Where its epmd listens.
    epmd_port: u16,
    /// The broker. Dropped before epmd, which it is registered with.
    broker: Option<Supervised>,
    /// The name daemon. Started by us in the foreground: one that the broker starts would put
    /// itself in the background and outlive everybody.
    epmd: Option<Supervised>,
    /// How often `rabbitmqctl` was run: each has its own output file.
    controls: u32,
}

impl Node {
    /// Writes the configuration of a new node.
    pub(super) fn prepare(dir: &Path) -> Result<Self> {
        ensure!(
            Path::new(SCRIPTS).join("rabbitmq-server").exists(),
            "RabbitMQ is not installed: run deploy/local/install.sh test"
        );
        let dir = std::path::absolute(dir)?;
        for folder in ["mnesia", "log", "generated", "home"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let node = Self {
            dir,
            amqp_port: free_port()?,
            management_port: free_port()?,
            distribution_port: free_port()?,
            epmd_port: free_port()?,
            broker: None,
            epmd: None,
            controls: 0,
        };
        node.write_configuration()?;
        Ok(node)
    }

    fn write_configuration(&self) -> Result<()> {
        let Self {
            amqp_port,
            management_port,
            ..
        } = self;
        let lines = format!(
            "listeners.tcp.default = 127.0.0.1:{amqp_port}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management_port}\n\
             management_agent.disable_metrics_collector = false\n\
             collect_statistics_interval = 1000\n\
             log.file.level = info\n\
             disk_free_limit.absolute = 200MB\n"
        );
        fs::write(self.dir.join("rabbitmq.conf"), lines)?;
        fs::write(self.dir.join("advanced.config"), "[].\n")?;
        fs::write(self.dir.join("enabled_plugins"), "[rabbitmq_management].\n")?;
        let cookie = self.dir.join("home/.erlang.cookie");
        fs::write(&cookie, uuid::Uuid::new_v4().simple().to_string())?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        Ok(())
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let at = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("HOME", at("home")),
            // "localhost" needs no name server.
            (
                "RABBITMQ_NODENAME",
                format!("callferry{}@localhost", self.amqp_port),
            ),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", at("mnesia")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", at("generated")),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            ("ERL_EPMD_PORT", self.epmd_port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            // Listen for other nodes on loopback only, and do not burn a core on waiting for work.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none".to_owned(),
            ),
        ]
    }

    fn launch(&self, program: &str, log: &str) -> Launch {
        let program = Path::new(SCRIPTS).join(program);
        let name = program.display().to_string();
        Launch::new(&name, &program, &self.dir.join(log))
            .envs(self.environment())
            .directory(&self.dir)
    }

    /// Starts what does not run. Readiness is for the caller to wait for.
    pub(super) fn start(&mut self) -> Result<()> {
        let runs = match self.epmd.as_mut() {
            Some(epmd) => epmd.ended()?.is_none(),
            None => false,
        };
        if !runs {
            let port = self.epmd_port.to_string();
            let epmd = Launch::new("epmd", "epmd", &self.dir.join("log/epmd.out"));
            let epmd = epmd.args(["-port", &port, "-address", "127.0.0.1"]);
            self.epmd = Some(epmd.start()?);
        }
        let runs = match self.broker.as_mut() {
            Some(broker) => broker.ended()?.is_none(),
            None => false,
        };
        if !runs {
            self.broker = Some(self.launch("rabbitmq-server", "log/broker.out").start()?);
        }
        Ok(())
    }

    /// Fails when the broker has ended.
    pub(super) fn must_run(&mut self) -> Result<()> {
        self.broker
            .as_mut()
            .context("the broker was never started")?
            .must_run()
    }

    /// Sends the broker a signal.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.broker
            .as_mut()
            .context("the broker was never started")?
            .signal(signal)
    }

    /// Crashes the broker; epmd stays, as it would on a machine.
    pub(super) fn kill9(&mut self) -> Result<()> {
        let broker = self
            .broker
            .as_mut()
            .context("the broker was never started")?;
        broker.kill9().map(drop)
    }

    /// Whether the list of quorum queues on disk has this one.
    pub(super) fn remembers(&self, queue: &str) -> Result<bool> {
        let name = format!("callferry{}@localhost", self.amqp_port);
        let list = format!("mnesia/{name}/quorum/{name}/names.dets");
        let list = fs::read(self.dir.join(list)).context("reading the list of quorum queues")?;
        // A queue is listed as its virtual host, an underscore and its name.
        let wanted = format!("_{queue}");
        Ok(list
            .windows(wanted.len())
            .any(|window| window == wanted.as_bytes()))
    }

    /// Stops the broker by its own signal handler, then epmd.
    pub(super) async fn stop(&mut self, limit: Duration) -> Result<()> {
        if let Some(mut broker) = self.broker.take()
            && broker.ended()?.is_none()
        {
            broker.signal(Signal::TERM)?;
            broker.wait(limit).await?;
        }
        self.epmd = None;
        Ok(())
    }

    /// Runs `rabbitmqctl` and returns its standard output.
    pub(super) async fn ctl(&mut self, args: &[&str]) -> Result<String> {
        self.controls += 1;
        let output = self.dir.join(format!("log/ctl-{}.out", self.controls));
        let launch = self.launch("rabbitmqctl", &format!("log/ctl-{}.err", self.controls));
        let mut running = launch.args(args).start_with_output(&output)?;
        let status = running.wait(CONTROL).await?;
        let said = fs::read_to_string(&output).unwrap_or_default();
        if !status.success() {
            bail!(
                "rabbitmqctl {args:?}: {status}: {said}{}",
                running.log_text()?
            );
        }
        Ok(said)
    }
}
