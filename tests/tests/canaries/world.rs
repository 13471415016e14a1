//! A platform in which every secret is a canary: unmistakable, and of too much chance to be
//! anything else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use callferry_tests::platform::{AzureAccess, Platform, STORAGE_ACCOUNT};
use callferry_tests::s3::Identity;
use serde_json::json;
use url::Url;

use super::ear::Ear;
use super::search::Canary;

/// The platform and what must not be found.
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) canaries: Vec<Canary>,
    /// The line to STS.
    pub(crate) sts: Ear,
    /// The line to Entra.
    pub(crate) entra: Ear,
    dir: PathBuf,
}

/// A word of 128 random bits.
pub(crate) fn word() -> String {
    format!("cnry{}", uuid::Uuid::new_v4().simple())
}

fn with_user(url: &str, user: &str, password: &str) -> Result<String> {
    let mut url = Url::parse(url)?;
    let set = url
        .set_username(user)
        .and_then(|()| url.set_password(Some(password)));
    set.ok().context("a URL without a user")?;
    Ok(url.into())
}

/// A file of its owner's.
fn keep(path: &Path, text: &str) -> Result<String> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

impl World {
    /// `None` where Azurite cannot be had, which is said loudly.
    pub(crate) async fn new(dir: &Path) -> Result<Option<Self>> {
        let mut platform = Platform::start(dir).await?;
        if !platform.start_azure().await? {
            return Ok(None);
        }
        let entra: SocketAddr = {
            let authority = platform.azure()?.entra.authority();
            authority.trim_start_matches("http://").parse()?
        };
        let (sts, entra) = (Ear::at(platform.lab.address()).await, Ear::at(entra).await);
        platform
            .fleet
            .set("CALLFERRY_STS_ENDPOINT", sts.origin.clone());
        platform
            .fleet
            .set("CALLFERRY_ENTRA_AUTHORITY", entra.origin.clone());
        let mut world = Self {
            platform,
            canaries: Vec::new(),
            sts,
            entra,
            dir: dir.to_owned(),
        };
        world.receipt_key().await?;
        world.servers().await?;
        world.base_identity()?;
        world.good_accounts().await?;
        world.bad_accounts().await?;
        world.keys()?;
        Ok(Some(world))
    }

    fn canary(&mut self, what: &str) -> String {
        let word = word();
        self.canaries.push(Canary::new(what, &word));
        word
    }

    /// Users of broker and database with passwords of ours, in a configuration file.
    async fn servers(&mut self) -> Result<()> {
        let user = format!("u{}", uuid::Uuid::new_v4().simple());
        let broker = self.canary("the broker's password");
        let rabbit = &self.platform.rabbit;
        let body = json!({"password": broker, "tags": "administrator"});
        let management = rabbit.management();
        management
            .call("PUT", &format!("/api/users/{user}"), Some(body))
            .await?;
        let vhost = rabbit.vhost().replace('/', "%2F");
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        let path = format!("/api/permissions/{vhost}/{user}");
        management.call("PUT", &path, Some(all)).await?;
        let amqp = with_user(&rabbit.amqp_url(), &user, &broker)?;
        let api = with_user(&rabbit.management_url(), &user, &broker)?;

        let database = self.canary("the database's password");
        let postgres = &self.platform.postgres;
        let role = format!("create role {user} login superuser password '{database}'");
        postgres.sql("callferry", &role).await?;
        let ledger = with_user(&postgres.url("callferry"), &user, &database)?;
        let file = format!(
            "amqp_url = \"{amqp}\"\namqp_management_url = \"{api}\"\ndatabase_url = \"{ledger}\"\n"
        );
        let file = keep(&self.dir.join("callferry.toml"), &file)?;
        let fleet = &mut self.platform.fleet;
        fleet.set("CALLFERRY_CONFIG", file);
        fleet.unset("CALLFERRY_AMQP_URL");
        fleet.unset("CALLFERRY_DATABASE_URL");
        Ok(())
    }

    /// Our own AWS key, in a file as the standard chain reads it.
    fn base_identity(&mut self) -> Result<()> {
        let secret = self.canary("our own AWS secret key");
        let id = "AKIDCANARYLAB";
        self.platform
            .lab
            .put_identity(Identity::new(id, &secret).named("callferry"));
        let file =
            format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        let file = keep(&self.dir.join("aws"), &file)?;
        let fleet = &mut self.platform.fleet;
        fleet.unset("AWS_ACCESS_KEY_ID");
        fleet.unset("AWS_SECRET_ACCESS_KEY");
        fleet.set("AWS_SHARED_CREDENTIALS_FILE", file);
        Ok(())
    }

    async fn good_accounts(&mut self) -> Result<()> {
        for account in ["acme", "globex"] {
            self.platform.account(account).await?;
        }
        let identities = [
            ("principal", AzureAccess::ServicePrincipal),
            ("signed", AzureAccess::Sas),
            ("keyed", AzureAccess::AccessKey),
        ];
        for (account, access) in identities {
            self.platform.azure_account(account, access).await?;
            let file = self.dir.join("azure").join(format!("{account}-secret"));
            let secret = fs::read_to_string(file)?;
            let secret = match access {
                AzureAccess::Sas => secret.rsplit_once("sig=").context("no SAS")?.1,
                AzureAccess::AccessKey
                | AzureAccess::ServicePrincipal
                | AzureAccess::Federated
                | AzureAccess::ManagedIdentity => secret.as_str(),
            };
            let what = format!("the secret of {account}");
            self.canaries.push(Canary::new(&what, secret));
            if let Ok(raw) = BASE64_STANDARD.decode(secret) {
                self.canaries
                    .push(Canary::new(&format!("{what}, decoded"), raw));
            }
        }
        Ok(())
    }

    /// Accounts whose every attempt fails, each in its own way.
    async fn bad_accounts(&mut self) -> Result<()> {
        let client = self.canary("a client secret that is wrong");
        let signature = self.canary("a SAS that is wrong");
        let key = self.canary("an access key that is wrong");
        let endpoint = self.platform.azure()?.azurite.endpoint(STORAGE_ACCOUNT);
        let tenant = "0f2b6d3c-5a1e-4c3f-9d43-6f8a2a1b7c55";
        let application = "00001111-aaaa-2222-bbbb-3333cccc4444";
        let sas = format!("sv=2023-11-03&sr=c&sp=rcw&se=2099-12-31T00%3A00%3A00Z&sig={signature}");
        let raw = BASE64_STANDARD.encode(&key);
        let secrets = [
            ("wrong-client", client.as_str(), "--client-secret-file"),
            ("wrong-sas", sas.as_str(), "--sas-token-file"),
            ("wrong-key", raw.as_str(), "--access-key-file"),
        ];
        for (account, secret, flag) in secrets {
            let file = keep(&self.dir.join(account), secret)?;
            self.platform.plain_account(account).await?;
            let store = [
                "azure",
                "--storage-account",
                STORAGE_ACCOUNT,
                "--container",
                account,
            ];
            let mut args = [&["destination", "set", account][..], &store].concat();
            // Nothing can be stored there: it must be insisted on.
            args.extend(["--endpoint", &endpoint, flag, &file, "--force"]);
            if account == "wrong-client" {
                args.extend(["--tenant-id", tenant, "--client-id", application]);
            }
            self.platform.json(&args).await?;
        }
        let lab = self.platform.lab.address();
        let closed = callferry_tests::ports::free_port()?;
        for (account, endpoint) in [
            ("unreachable", format!("http://127.0.0.1:{closed}")),
            // The laboratory speaks no TLS.
            ("no-tls", format!("https://{lab}")),
        ] {
            self.platform.plain_account(account).await?;
            let arn = "arn:aws:iam::111122229999:role/nobody";
            let store = [
                "s3",
                "--bucket",
                "calls",
                "--region",
                "eu-central-1",
                "--role-arn",
                arn,
            ];
            let args = [
                &["destination", "set", account][..],
                &store,
                &["--endpoint", &endpoint, "--force"],
            ];
            self.platform.json(&args.concat()).await?;
        }
        let lab = &self.platform.lab;
        let role = callferry_tests::s3::Role::new(
            "arn:aws:iam::111122229999:role/nobody",
            callferry_tests::s3::Policy::none(),
        );
        lab.put_role(role.trusting("callferry"));
        Ok(())
    }

    /// The key ring's keys, as they stand in the file and as they are.
    fn keys(&mut self) -> Result<()> {
        let ring = fs::read_to_string(self.dir.join("keyring"))?;
        let keys = ring.lines().skip_while(|line| *line != "[keys]").skip(1);
        for line in keys {
            let key = line.rsplit('"').nth(1).context("no key")?;
            self.canaries.push(Canary::new("a key of the ring", key));
            let raw = BASE64_STANDARD.decode(key)?;
            self.canaries
                .push(Canary::new("a key of the ring, decoded", raw));
        }
        Ok(())
    }

    /// The keys that custody receipts are signed with: one that signs, one that will.
    async fn receipt_key(&mut self) -> Result<()> {
        let file = self.dir.join("receipt-key").display().to_string();
        self.platform.json(&["receipt-key", "new", &file]).await?;
        let fleet = &mut self.platform.fleet;
        fleet.set("CALLFERRY_RECEIPT_KEY_FILE", &*file);
        self.platform
            .json(&["receipt-key", "rotate", "--prepare"])
            .await?;
        let text = fs::read_to_string(file)?;
        let keys = text
            .lines()
            .filter_map(|line| line.strip_prefix("private = "));
        for key in keys {
            let key = key.trim_matches('"');
            let raw = BASE64_STANDARD.decode(key)?;
            let what = "a key of custody receipts";
            self.canaries.push(Canary::new(what, key));
            self.canaries
                .push(Canary::new(&format!("{what}, decoded"), raw));
        }
        Ok(())
    }

    /// What the token services gave out meanwhile.
    pub(crate) fn minted(&self) -> Vec<Canary> {
        let mut minted = Vec::new();
        for (what, element) in [
            ("a session's secret key", "SecretAccessKey"),
            ("a session's token", "SessionToken"),
        ] {
            let (open, close) = (format!("<{element}>"), format!("</{element}>"));
            for text in self.sts.between(&open, &close) {
                minted.push(Canary::new(what, text));
            }
        }
        for text in self.entra.between("\"access_token\":\"", "\"") {
            minted.push(Canary::new("a token of Entra", text));
        }
        minted
    }
}
