//! Accounts whose roles are made from the kit's own documents, and a fleet over them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Arranged, Role};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// The customer's AWS account.
pub(crate) const CUSTOMER: &str = "111122223333";
/// A key of theirs.
pub(crate) const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b";
/// Larger than one part, which is as small as S3 takes it.
pub(crate) const IN_PARTS: usize = 6 << 20;

/// A platform and its scratch directory, which must live longer.
pub(crate) struct Setting {
    pub(crate) platform: Platform,
    pub(crate) fleet: Vec<Member>,
    _scratch: Scratch,
}

/// One account as the kit set it up.
pub(crate) struct Customer {
    /// The role's ARN.
    pub(crate) role: String,
    /// Its bucket.
    pub(crate) bucket: String,
    /// What the kit answered.
    pub(crate) kit: Value,
}

impl Customer {
    /// One of the kit's documents.
    pub(crate) fn document(&self, name: &str) -> Result<&str> {
        let document = self.kit["documents"][name].as_str();
        document.with_context(|| format!("no {name} in {}", self.kit))
    }
}

/// The permission policy without the statements of one action.
pub(crate) fn without(policy: &str, action: &str) -> Result<String> {
    let mut policy: Value = serde_json::from_str(policy)?;
    let statements = policy["Statement"].as_array_mut();
    let statements = statements.context("no statements")?;
    let before = statements.len();
    statements.retain(|statement| statement["Action"] != action);
    anyhow::ensure!(
        statements.len() + 1 == before,
        "{action} is not granted once"
    );
    Ok(policy.to_string())
}

impl Setting {
    pub(crate) async fn new(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut platform = Platform::start(scratch.path()).await?;
        for (key, value) in [
            ("PART_SIZE_BYTES", "5242880"),
            ("DRIVE_UNACKNOWLEDGED_S", "5"),
            ("DRIVE_UNRELEASED_S", "10"),
            ("DRIVE_REDRIVE_S", "10"),
            ("DRIVE_SWEEP_EVERY_S", "2"),
            ("DRIVE_LEFTOVER_AGE_S", "5"),
        ] {
            platform.fleet.set(&format!("CALLFERRY_{key}"), value);
        }
        Ok(Self {
            platform,
            fleet: Vec::new(),
            _scratch: scratch,
        })
    }

    /// Makes an account with a bucket (one that keeps versions if told so) and a role of exactly
    /// the kit's documents, and sets its destination by the command that the kit names.
    pub(crate) async fn customer(
        &mut self,
        account: &str,
        versioned: bool,
        options: &[&str],
    ) -> Result<Customer> {
        self.platform.plain_account(account).await?;
        let customer = self.kit(account, options).await?;
        let (bucket, lab) = (&customer.bucket, &self.platform.lab);
        if versioned {
            lab.create_versioned_bucket(bucket, CUSTOMER)?;
        } else {
            lab.create_bucket(bucket, CUSTOMER)?;
        }
        // Whoever uses a key must be allowed to.
        let keys = Arranged {
            guards_keys: true,
            ..Arranged::default()
        };
        lab.arrange(bucket, keys);
        self.grant(&customer, |policy| Ok(policy.to_owned()))?;
        self.set(&customer).await?;
        Ok(customer)
    }

    /// Asks for the kit of an account.
    pub(crate) async fn kit(&self, account: &str, options: &[&str]) -> Result<Customer> {
        let bucket = Platform::bucket(account);
        let ask = ["setup-kit", account, "--format", "iam", "--bucket", &bucket];
        let place = ["--region", REGION, "--aws-account", CUSTOMER];
        let endpoint = self.platform.lab.endpoint();
        let lab = ["--endpoint", endpoint.as_str()];
        let args = [&ask[..], &place, &lab, options].concat();
        let kit = self.platform.json(&args).await?;
        let role = kit["role_arn"].as_str().context("no role")?;
        Ok(Customer {
            role: role.to_owned(),
            bucket,
            kit,
        })
    }

    /// Makes the role of the kit's documents, its permissions as `edit` leaves them.
    pub(crate) fn grant(
        &self,
        customer: &Customer,
        edit: impl FnOnce(&str) -> Result<String>,
    ) -> Result<()> {
        let permissions = edit(customer.document("permissions.json")?)?;
        let trust = customer.document("trust.json")?;
        let role = Role::from_documents(&customer.role, &permissions, trust)?;
        self.platform.lab.put_role(role);
        Ok(())
    }

    /// Runs the command that the kit says comes next.
    pub(crate) async fn set(&self, customer: &Customer) -> Result<()> {
        let next = customer.kit["next"][0]
            .as_str()
            .context("no next command")?;
        let words = next.replace("\\\n", " ");
        let words: Vec<_> = words.split_whitespace().skip(1).collect();
        self.platform.json(&words).await.map(drop)
    }

    /// Starts one member for each role.
    pub(crate) async fn start(&mut self, roles: &[&str]) -> Result<()> {
        for role in roles {
            self.fleet.push(self.platform.fleet.start(role, &[role])?);
        }
        for member in &mut self.fleet {
            member.ready(Duration::from_secs(60)).await?;
        }
        Ok(())
    }

    /// Ends every member in order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for member in &mut self.fleet {
            member.stop(Duration::from_secs(60)).await?;
        }
        self.fleet.clear();
        Ok(())
    }

    /// The recordings in a bucket, by key: what a check could not delete is none.
    pub(crate) fn stored(&self, customer: &Customer) -> Vec<String> {
        let objects = self.platform.lab.objects(&customer.bucket).into_iter();
        let keys = objects.map(|object| object.key);
        keys.filter(|key| !key.contains("callferry-check/"))
            .collect()
    }

    /// Stages a recording of so many bytes, and announces it.
    pub(crate) async fn record(&self, account: &str, id: &str, size_bytes: usize) -> Result<()> {
        let folder = self.platform.staging.join(account);
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{id}.wav"));
        fs::write(&file, id.repeat(size_bytes / id.len()))?;
        let file = file.to_str().context("the path is not UTF-8")?;
        let publish = ["publish", "--account", account, file];
        self.platform.fleet.must(&publish).await.map(drop)
    }

    /// One recording as the command line shows it.
    pub(crate) async fn shown(&self, account: &str, id: &str) -> Result<Value> {
        let args = ["recording", "show", "--account", account, id, "--json"];
        let shown = self.platform.fleet.run(&args).await?;
        if shown.code != Some(0) {
            return Ok(Value::Null);
        }
        let shown = shown.json()?;
        Ok(shown.get(0).cloned().unwrap_or(shown))
    }

    /// Waits until a recording is in this state, for this reason (`null` for none).
    pub(crate) async fn until(
        &self,
        (account, id): (&str, &str),
        state: &str,
        reason: &Value,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let what = format!("{account}/{id} is {state} {reason}");
        let waited = patience::until(&what, LONG, async || {
            last = self.shown(account, id).await?;
            let is_it = last["state"] == state && (reason.is_null() || last["reason"] == *reason);
            Ok(is_it.then(|| last.clone()))
        });
        waited.await.with_context(|| format!("it was last: {last}"))
    }
}
