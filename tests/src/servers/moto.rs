//! `moto`, somebody else's emulator of STS, IAM and S3, with signatures and policies enforced.
//!
//! Our own S3 and STS server (in `s3`) is written by the people who wrote the client, so a shared
//! misunderstanding would pass unseen. This one is not. It has limits of its own, listed in
//! `README.md`: it lets a *missing* external id through, and answers 500 to signed URLs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::child::{Launch, Supervised};
use crate::ports::free_port;
use crate::{environment, patience, scratch};

/// Python takes a second to import it, many times that on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// Installing it by `pip`.
const INSTALL: Duration = Duration::from_secs(300);
/// The account that moto plays.
const ACCOUNT: &str = "123456789012";

/// What to make before enforcement begins.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The customer's bucket.
    pub bucket: &'a str,
    /// The external id that the role's trust policy demands.
    pub external_id: &'a str,
    /// The actions that the role may do on the bucket's objects, such as `s3:PutObject`.
    pub actions: &'a [&'a str],
    /// The keys it may do them on begin with this.
    pub prefix: &'a str,
}

/// Who may assume which role.
#[derive(Clone, Debug)]
pub struct Identities {
    /// The base user's access key.
    pub access_key_id: String,
    /// And its secret.
    pub secret_access_key: String,
    /// The customer's role, which that user may assume.
    pub role_arn: String,
}

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    /// Its process.
    server: Supervised,
    /// Where it listens.
    port: u16,
}

impl Moto {
    /// Starts it with its log in `dir`, installing it first if need be. When it cannot be
    /// installed that is said loudly and `None` returned: the test is then skipped, not passed.
    ///
    /// # Errors
    /// When it is installed and does not come up.
    pub async fn start(dir: &Path) -> Result<Option<Self>> {
        let program = environment::local().join("tools/moto/bin/moto_server");
        if !program.exists()
            && let Err(error) = install().await
        {
            scratch::skip("moto", &format!("{error:#}"))?;
            return Ok(None);
        }
        let port = free_port()?;
        let log = dir.join("moto.log");
        let launch = Launch::new("moto", &program, &log);
        let server = launch
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .start()?;
        let mut moto = Self { server, port };
        let client = client()?;
        let url = format!("{}/moto-api/data.json", moto.endpoint());
        patience::until("moto answers", READY, async || {
            moto.server.must_run()?;
            Ok(client.get(&url).send().await.ok())
        })
        .await?;
        Ok(Some(moto))
    }

    /// The endpoint of every service it plays.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes the bucket, the base user and the role, then turns enforcement on: from here on every
    /// request needs a good signature and a policy that allows it.
    ///
    /// # Errors
    /// When moto refuses a step.
    pub async fn set_up(&self, setting: &Setting<'_>) -> Result<Identities> {
        let Setting {
            bucket,
            external_id,
            actions,
            prefix,
        } = setting;
        self.call("s3", "PUT", &format!("/{bucket}"), String::new())
            .await?;
        self.iam(&[("Action", "CreateUser"), ("UserName", "callferry")])
            .await?;
        let keys = [("Action", "CreateAccessKey"), ("UserName", "callferry")];
        let keys = self.iam(&keys).await?;
        let user = format!("arn:aws:iam::{ACCOUNT}:user/callferry");
        let trust = policy(&json!({
            "Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}}
        }));
        let role = [
            ("Action", "CreateRole"),
            ("RoleName", "customer"),
            ("AssumeRolePolicyDocument", &trust),
        ];
        let role_arn = element(&self.iam(&role).await?, "Arn")?;
        let whole = format!("arn:aws:s3:::{bucket}");
        let objects = format!("{whole}/{prefix}*");
        let allowed =
            policy(&json!({"Effect": "Allow", "Action": actions, "Resource": [objects, whole]}));
        self.iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", "customer"),
            ("PolicyName", "objects"),
            ("PolicyDocument", &allowed),
        ])
        .await?;
        let may_assume =
            policy(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role_arn}));
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", "callferry"),
            ("PolicyName", "assume"),
            ("PolicyDocument", &may_assume),
        ])
        .await?;
        self.call("moto", "POST", "/moto-api/reset-auth", "0".to_owned())
            .await?;
        let access_key_id = element(&keys, "AccessKeyId")?;
        let secret_access_key = element(&keys, "SecretAccessKey")?;
        Ok(Identities {
            access_key_id,
            secret_access_key,
            role_arn,
        })
    }

    /// One call of IAM's query interface.
    async fn iam(&self, fields: &[(&str, &str)]) -> Result<String> {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut body = "Version=2010-05-08".to_owned();
        for (name, value) in fields {
            body = format!("{body}&{}={}", escape(name), escape(value));
        }
        self.call("iam", "POST", "/", body).await
    }

    /// One request, which names its service as a signature would: that is how moto tells them
    /// apart. It checks no signature until enforcement is on.
    async fn call(&self, service: &str, method: &str, path: &str, body: String) -> Result<String> {
        let scope = format!("setup/20200101/us-east-1/{service}/aws4_request");
        let credential = format!("AWS4-HMAC-SHA256 Credential={scope}, Signature=none");
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = client()?.request(method, format!("{}{path}", self.endpoint()));
        request = request.header("authorization", credential).body(body);
        if service == "iam" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let response = request.send().await.context("calling moto")?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            bail!("moto answered {status} to {service} {path}: {text}");
        }
        Ok(text)
    }
}

fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20));
    builder.build().context("building an HTTP client")
}

fn policy(statement: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// The text of the first element of that name.
fn element(xml: &str, name: &str) -> Result<String> {
    let found = xml.split_once(&format!("<{name}>"));
    let found = found.and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    let (text, _) = found.with_context(|| format!("no {name} in {xml}"))?;
    Ok(text.to_owned())
}

async fn install() -> Result<()> {
    let script = environment::repository().join("deploy/local/install.sh");
    let mut command = tokio::process::Command::new(script);
    command.arg("moto").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(INSTALL, command.output()).await;
    let output = output.context("installing moto did not finish")??;
    if !output.status.success() {
        bail!(
            "moto cannot be installed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
