//! A platform as `deploy/README.md` sets it up: passwords by `secrets.sh`, the broker's users by
//! `definitions.json`, the database's by `roles.sql` and `grants.sql`, and every process with the
//! file of its own role and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::{Fleet, Member};
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::Identity;
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};
use tokio::process::Command;

use super::tools;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(240);
/// The ledger's database, as `secrets.sh` is told.
pub(crate) const DATABASE: &str = "production";
/// Our own identity at the laboratory's clouds.
const OURS: (&str, &str) = ("AKIDPRODUCTION", "laboratory-only-not-a-secret");

/// The platform, its members and what they may log in with.
pub(crate) struct Production {
    /// Servers and staging. Its fleet is the operator: the command line with the operator's user
    /// of the database and the recorder's of the broker.
    pub(crate) platform: Platform,
    /// What `secrets.sh` made.
    pub(crate) secrets: PathBuf,
    /// Every role's environment but the file with its passwords.
    bare: Fleet,
    /// Must live longer than the servers.
    scratch: Scratch,
}

impl Production {
    /// Everything up to, but without, the first process.
    pub(crate) async fn new(name: &str) -> Result<Self> {
        let mut production = Self::bare(name).await?;
        production.set_up().await?;
        Ok(production)
    }

    /// Servers with nothing in them, and the secrets.
    pub(crate) async fn bare(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut platform = Platform::private(scratch.path()).await?;
        let ours = Identity::new(OURS.0, OURS.1).named("callferry");
        platform.lab.put_identity(ours);
        // The platform's own start has marked its staging for another ledger.
        platform.staging = scratch.folder("recordings")?;
        platform.postgres.create_database(DATABASE).await?;
        let secrets = scratch.path().join("secrets");
        let bare = Fleet::new(&scratch.folder("production-logs")?)?
            .with(
                "CALLFERRY_STAGING_URL",
                format!("file://{}", platform.staging.display()),
            )
            .with("CALLFERRY_STS_ENDPOINT", platform.lab.endpoint())
            .with("CALLFERRY_ALLOW_HTTP", "true")
            .with("CALLFERRY_ALLOWED_PRIVATE_RANGES", "127.0.0.0/8")
            .with("CALLFERRY_DRIVE_UNACKNOWLEDGED_S", "5")
            .with("CALLFERRY_DRIVE_UNRELEASED_S", "10")
            .with("CALLFERRY_DRIVE_REDRIVE_S", "10")
            .with("CALLFERRY_DRIVE_UNANNOUNCED_S", "5")
            .with(
                "CALLFERRY_KEYRING_FILE",
                secrets.join("keyring").display().to_string(),
            )
            .with("AWS_ACCESS_KEY_ID", OURS.0)
            .with("AWS_SECRET_ACCESS_KEY", OURS.1)
            .with("AWS_REGION", REGION);
        let production = Self {
            platform,
            secrets,
            bare,
            scratch,
        };
        let mut script = Command::new(tools::deploy("compose/secrets.sh"));
        script.arg(&production.secrets).envs(production.servers()?);
        tools::must(&mut script).await?;
        Ok(production)
    }

    /// What `secrets.sh` is told.
    pub(crate) fn servers(&self) -> Result<[(&'static str, String); 4]> {
        let Platform {
            rabbit, postgres, ..
        } = &self.platform;
        Ok([
            ("BROKER", rabbit.address()?),
            ("BROKER_API", rabbit.management_url()),
            ("DATABASE", postgres.address()?),
            ("DATABASE_NAME", DATABASE.to_owned()),
        ])
    }

    /// The steps of the README, in its order.
    async fn set_up(&mut self) -> Result<()> {
        self.import().await?;
        self.superuser(&tools::deploy("postgres/roles.sql")).await?;
        self.superuser(&self.secrets.join("passwords.sql")).await?;
        self.fleet("owner").must(&["migrate"]).await?;
        self.grant().await?;
        // Nothing is declared: everything is there, and the command says so by changing nothing.
        let topology = self.fleet("topology");
        topology.must(&["topology", "apply"]).await?;
        topology.must(&["topology", "check"]).await?;
        self.accounts().await
    }

    /// Gives the broker its users and everything else, and the test a way in.
    pub(crate) async fn import(&mut self) -> Result<()> {
        let definitions = self.secrets.join("callferry-definitions.json");
        let definitions = definitions.display().to_string();
        let import = ["import_definitions", definitions.as_str()];
        self.platform.rabbit.ctl(&import).await?;
        // The import goes on in the background; the test's own user comes after it.
        let rabbit = &self.platform.rabbit;
        patience::until("the definitions are imported", LONG, async || {
            let path = "/api/bindings/callferry/e/callferry.recordings/q/callferry.cleanup";
            let found = rabbit.management().call("GET", path, None).await;
            Ok(found.ok().filter(|found| found != &json!([])).map(drop))
        })
        .await?;
        rabbit.create_vhost("callferry").await
    }

    /// Runs a file in the ledger as the database's superuser.
    pub(crate) async fn superuser(&self, file: &Path) -> Result<()> {
        psql_file(&self.platform.postgres.url(DATABASE), file).await
    }

    /// Makes the operator the platform's command line, and two accounts with it.
    pub(crate) async fn accounts(&mut self) -> Result<()> {
        let recorder = self.broker_url("recorder")?;
        self.platform.fleet = self.fleet("operator").with("CALLFERRY_AMQP_URL", recorder);
        for account in ["acme", "globex"] {
            self.platform.account(account).await?;
        }
        Ok(())
    }

    /// Grants everybody what is theirs, as after a migration.
    pub(crate) async fn grant(&self) -> Result<()> {
        self.as_owner(&tools::deploy("postgres/grants.sql")).await
    }

    /// Runs a file in the ledger as its owner.
    pub(crate) async fn as_owner(&self, file: &Path) -> Result<()> {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--file"])
            .arg(file)
            .env("PGSERVICEFILE", self.secrets.join("pg_service.conf"))
            .env("PGSERVICE", "callferry");
        tools::must(&mut psql).await.map(drop)
    }

    /// A folder of this test's own.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        self.scratch.folder(name)
    }

    /// The command line, or the processes, of somebody `secrets.sh` has made a file for.
    pub(crate) fn fleet(&self, user: &str) -> Fleet {
        let file = self.secrets.join(format!("{user}.toml"));
        let file = file.display().to_string();
        self.bare.clone().with("CALLFERRY_CONFIG", file)
    }

    /// Starts a role as itself and waits until it is ready.
    pub(crate) async fn start(&self, name: &str, role: &str) -> Result<Member> {
        self.fleet(role).start_ready(name, &[role]).await
    }

    fn told(&self, user: &str, key: &str) -> Result<String> {
        let file = self.secrets.join(format!("{user}.toml"));
        let table: toml::Table = std::fs::read_to_string(file)?.parse()?;
        let url = table.get(key).and_then(toml::Value::as_str);
        let url = url.with_context(|| format!("{user} has no {key}"))?;
        Ok(url.to_owned())
    }

    /// Where a user meets the broker, password included.
    pub(crate) fn broker_url(&self, user: &str) -> Result<String> {
        self.told(user, "amqp_url")
    }

    /// Where a user meets the database, password included.
    pub(crate) fn database_url(&self, user: &str) -> Result<String> {
        if user == "scaler" {
            return Ok(std::fs::read_to_string(
                self.secrets.join("scaler-database"),
            )?);
        }
        self.told(user, "database_url")
    }

    /// A recording as the operator sees it; `None` while it is unknown.
    pub(crate) async fn shown(&self, account: &str, id: &str) -> Result<Option<Value>> {
        let args = ["recording", "show", "--account", account, id, "--json"];
        let shown = self.platform.fleet.run(&args).await?;
        if shown.code != Some(0) {
            return Ok(None);
        }
        let shown = shown.json()?;
        Ok(Some(if shown.is_array() {
            shown[0].clone()
        } else {
            shown
        }))
    }

    /// Waits until a recording is in a state, for a reason if one is given.
    pub(crate) async fn becomes(
        &self,
        (account, id): (&str, &str),
        state: &str,
        reason: Option<&str>,
    ) -> Result<Value> {
        let mut last = None;
        let what = format!("{account}/{id} is {state} {}", reason.unwrap_or_default());
        let found = patience::until(&what, LONG, async || {
            last = self.shown(account, id).await?;
            let row = last.clone().filter(|row| row["state"] == state);
            Ok(row.filter(|row| reason.is_none_or(|reason| row["reason"] == reason)))
        });
        found
            .await
            .with_context(|| format!("it was last: {last:?}"))
    }

    /// What the servers have refused anybody so far, one line each.
    pub(crate) fn refusals(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let log = std::fs::read_to_string(self.scratch.path().join("postgres/postgres.log"))?;
        let denied = [
            "permission denied",
            "may not take recording",
            "must be owner",
        ];
        found.extend(lines_with(&log, &denied));
        for entry in std::fs::read_dir(self.scratch.path().join("rabbit/log"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "log") {
                let log = std::fs::read(&path)?;
                let log = String::from_utf8_lossy(&log);
                found.extend(lines_with(&log, &["refused for user", "ACCESS_REFUSED"]));
            }
        }
        Ok(found)
    }

    /// What every named user may log in with at the database, for tests that go through them all.
    pub(crate) fn database_urls(&self) -> Result<BTreeMap<&'static str, String>> {
        let users = [
            "transfer",
            "cleanup",
            "housekeeping",
            "playback",
            "operator",
            "scaler",
        ];
        users
            .into_iter()
            .map(|user| Ok((user, self.database_url(user)?)))
            .collect()
    }
}

fn lines_with(text: &str, signs: &[&str]) -> Vec<String> {
    let told = text
        .lines()
        .filter(|line| signs.iter().any(|sign| line.contains(sign)));
    told.map(str::to_owned).collect()
}

async fn psql_file(url: &str, file: &Path) -> Result<()> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"])
        .arg(file)
        .arg(url);
    tools::must(&mut psql).await.map(drop)
}

/// Runs one statement as whoever the URL says, and returns what the server said.
pub(crate) async fn statement(url: &str, sql: &str) -> Result<tools::Said> {
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
    ]);
    psql.args(["-c", sql]).arg(url);
    tools::run(&mut psql).await
}
