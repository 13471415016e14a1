//! A whole platform for the demo, the end-to-end tests and the bench.
//!
//! Private `RabbitMQ` and PostgreSQL, the S3+STS laboratory, Azure where it is asked for, staging,
//! accounts with buckets and roles of their own, and the real binary set up against all of it by
//! its own command line.

mod azure;
mod staging;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

pub use azure::{AzureAccess, AzureLab, MACHINE, STORAGE_ACCOUNT, TENANT, WORKLOAD};
pub use staging::{BucketKind, STAGING_BUCKET};

use crate::auditor::Auditor;
use crate::fleet::Fleet;
use crate::s3::{Identity, LabOptions, Policy, Role, S3Lab};
use crate::servers::{Postgres, Rabbit};

/// The identity that callferry itself has in the laboratory.
pub const OURS: (&str, &str) = ("AKIDCALLFERRYLAB", "laboratory-only-not-a-secret");
/// The identity of the independent check: it may read everything and is not ours.
const AUDITOR: (&str, &str) = ("AKIDAUDITORLAB", "laboratory-only-auditor");
/// The region everything is in.
pub const REGION: &str = "eu-central-1";
/// What a customer's role must allow, as the set-up documentation says.
const OBJECT_ACTIONS: [&str; 7] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
];

/// The platform. Dropping it ends every server.
pub struct Platform {
    /// Real broker.
    pub rabbit: Rabbit,
    /// Real database server.
    pub postgres: Postgres,
    /// Buckets and sessions.
    pub lab: S3Lab,
    /// Starts members and commands with the right environment.
    pub fleet: Fleet,
    /// The staging root.
    pub staging: PathBuf,
    dir: PathBuf,
    accounts: u32,
    /// Containers and tokens, once they were started.
    azure: Option<AzureLab>,
}

/// Makes the key ring, as an operator does: once, before anything that needs it is configured.
async fn make_keyring(fleet: &Fleet, file: &Path) -> Result<()> {
    let file = file.display().to_string();
    let unset = [("CALLFERRY_KEYRING_FILE", "")];
    let made = fleet.run_with(&["keyring", "new", &file], &unset).await?;
    made.success().map(drop)
}

impl Platform {
    /// Starts everything beneath `dir` and makes it ready for members: migrated, topology applied.
    ///
    /// # Errors
    /// When a server does not start or the command line refuses.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, LabOptions::default(), false).await
    }

    /// The same with servers that no other run shares, so that they may be killed.
    ///
    /// # Errors
    /// As [`Platform::start`].
    pub async fn private(dir: &Path) -> Result<Self> {
        Self::start_with(dir, LabOptions::default(), true).await
    }

    /// The same with options for the laboratory, and with private servers or shared ones.
    ///
    /// # Errors
    /// As [`Platform::start`].
    pub async fn start_with(dir: &Path, options: LabOptions, private: bool) -> Result<Self> {
        let staging = dir.join("staging");
        fs::create_dir_all(&staging)?;
        let (rabbit_dir, postgres_dir) = (dir.join("rabbit"), dir.join("postgres"));
        let data_dir = Some(dir.join("buckets"));
        let (servers, lab) = tokio::join!(
            async {
                if private {
                    tokio::try_join!(Rabbit::start(&rabbit_dir), Postgres::start(&postgres_dir))
                } else {
                    tokio::try_join!(Rabbit::obtain(&rabbit_dir), Postgres::obtain(&postgres_dir))
                }
            },
            S3Lab::start_with(LabOptions {
                data_dir,
                ..options
            }),
        );
        let ((rabbit, mut postgres), lab) = (servers?, lab?);
        lab.put_identity(Identity::new(OURS.0, OURS.1).named("callferry"));
        let readable =
            Policy::none().allow(&["s3:GetObject", "s3:ListBucket"], &["arn:aws:s3:::*"]);
        lab.put_identity(Identity::new(AUDITOR.0, AUDITOR.1).allowed(readable));
        let database = postgres.create_database("callferry").await?;
        let keyring = dir.join("keyring");
        let logs = dir.join("logs");
        fs::create_dir_all(&logs)?;
        let fleet = Fleet::new(&logs)?
            .with("CALLFERRY_AMQP_URL", rabbit.amqp_url())
            .with("CALLFERRY_DATABASE_URL", database)
            .with(
                "CALLFERRY_STAGING_URL",
                format!("file://{}", staging.display()),
            )
            .with("CALLFERRY_STS_ENDPOINT", lab.endpoint())
            .with("CALLFERRY_KEYRING_FILE", keyring.display().to_string())
            .with("CALLFERRY_ALLOW_HTTP", "true")
            .with("CALLFERRY_ALLOWED_PRIVATE_RANGES", "127.0.0.0/8")
            .with("AWS_ACCESS_KEY_ID", OURS.0)
            .with("AWS_SECRET_ACCESS_KEY", OURS.1)
            .with("AWS_REGION", REGION);
        make_keyring(&fleet, &keyring).await?;
        fleet.run(&["migrate"]).await?.success()?;
        fleet.run(&["topology", "apply"]).await?.success()?;
        let dir = dir.to_owned();
        Ok(Self {
            rabbit,
            postgres,
            lab,
            fleet,
            staging,
            dir,
            accounts: 0,
            azure: None,
        })
    }

    /// The independent client.
    #[must_use]
    pub fn auditor(&self) -> Auditor {
        Auditor::new(&self.lab.endpoint(), AUDITOR, &self.dir.join("audit"))
    }

    /// The bucket of an account, or of `default`.
    #[must_use]
    pub fn bucket(owner: &str) -> String {
        format!("{owner}-recordings")
    }

    /// The role of an account, or of `default`: the ARN depends on the account's number.
    fn role(owner: &str, number: u32) -> (String, String) {
        let aws_account = format!("{:012}", 111_122_220_000_u64 + u64::from(number));
        (
            format!("arn:aws:iam::{aws_account}:role/{owner}-callferry"),
            aws_account,
        )
    }

    /// Creates an account with a bucket and a role of its own, and sets its destination. Returns
    /// the role's ARN, for tests that change the role.
    ///
    /// # Errors
    /// When the command line refuses.
    pub async fn account(&mut self, name: &str) -> Result<String> {
        let external_id = self.plain_account(name).await?;
        self.destination(name, &external_id).await
    }

    /// Creates an account without a destination; returns the external id that was minted.
    ///
    /// # Errors
    /// When the command line refuses.
    pub async fn plain_account(&mut self, name: &str) -> Result<String> {
        self.json(&["account", "create", name]).await?;
        let shown = self.json(&["account", "show", name]).await?;
        let external_id = shown.get("external_id").and_then(Value::as_str);
        let external_id = external_id.context("no external_id")?;
        Ok(external_id.to_owned())
    }

    /// Makes bucket and role of an account, and sets its destination.
    ///
    /// # Errors
    /// When the command line refuses.
    pub async fn destination(&mut self, owner: &str, external_id: &str) -> Result<String> {
        self.accounts += 1;
        let (arn, aws_account) = Self::role(owner, self.accounts);
        let bucket = Self::bucket(owner);
        self.lab.create_bucket(&bucket, &aws_account)?;
        let policy = Policy::bucket(&bucket, "", &OBJECT_ACTIONS);
        let role = Role::new(&arn, policy)
            .external_id(external_id)
            .trusting("callferry");
        self.lab.put_role(role);
        let endpoint = self.lab.endpoint();
        let set = [
            "destination",
            "set",
            owner,
            "s3",
            "--bucket",
            &bucket,
            "--region",
            REGION,
        ];
        let how = ["--role-arn", &arn, "--endpoint", &endpoint];
        self.json(&[&set[..], &how[..]].concat()).await?;
        Ok(arn)
    }

    /// Sets the platform's default destination, written with callferry's own identity.
    ///
    /// # Errors
    /// When the command line refuses.
    pub async fn default_destination(&mut self) -> Result<()> {
        let bucket = Self::bucket("default");
        self.lab.create_bucket(&bucket, "000000000000")?;
        let policy = Policy::bucket(&bucket, "", &OBJECT_ACTIONS);
        self.lab.put_identity(
            Identity::new(OURS.0, OURS.1)
                .named("callferry")
                .allowed(policy),
        );
        let endpoint = self.lab.endpoint();
        let set = ["destination", "set", "default", "s3", "--bucket", &bucket];
        let how = ["--region", REGION, "--endpoint", &endpoint];
        let owner = ["--expected-owner", "000000000000"];
        self.json(&[&set[..], &how[..], &owner[..]].concat())
            .await?;
        Ok(())
    }

    /// Runs a command with `--json` and reads its answer.
    ///
    /// # Errors
    /// When it refuses or answers no JSON.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        self.fleet
            .run(&[args, &["--json"]].concat())
            .await?
            .success()?
            .json()
    }

    /// Publishes bytes as they are, past our own publisher: with the broker's management API, as
    /// a recorder that is not ours would.
    ///
    /// # Errors
    /// When the broker does not route it.
    pub async fn publish_raw(&self, routing_key: &str, payload: &str) -> Result<()> {
        let vhost = self.rabbit.vhost().replace('/', "%2F");
        let path = format!("/api/exchanges/{vhost}/callferry.recordings/publish");
        let body = serde_json::json!({
            "properties": {"delivery_mode": 2, "content_type": "application/cloudevents+json"},
            "routing_key": routing_key, "payload": payload, "payload_encoding": "string",
        });
        let answer = self
            .rabbit
            .management()
            .call("POST", &path, Some(body))
            .await?;
        anyhow::ensure!(
            answer.get("routed") == Some(&Value::Bool(true)),
            "not routed: {answer}"
        );
        Ok(())
    }

    /// Every file that is in staging now, relative to its root, the marker aside.
    ///
    /// # Errors
    /// When staging cannot be read.
    pub fn staged_files(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![self.staging.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let name = path.strip_prefix(&self.staging)?.display().to_string();
                if name != ".callferry-staging" {
                    found.push(name);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
