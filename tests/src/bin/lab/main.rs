//! `lab`: the laboratory's servers in the foreground, for a person who wants to try callferry:
//! `RabbitMQ`, PostgreSQL, a customer's AWS (S3, STS and IAM) and a customer's Azure (Azurite and
//! Entra's tokens). What to set is printed, and written to a file that a shell can read.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints to the person who runs it"
)]

mod files;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use callferry_tests::entra::Entra;
use callferry_tests::environment;
use callferry_tests::s3::{Identity, LabOptions, Policy, S3Lab};
use callferry_tests::servers::azurite::Wire;
use callferry_tests::servers::{Azurite, Postgres, Rabbit};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Our own identity: a role that our machines run with.
const OURS: (&str, &str) = ("AKIDCALLFERRYLAB", "laboratory-only-not-a-secret");
/// The administrator of the customer's AWS account.
const ADMINISTRATOR: (&str, &str) = ("AKIDADMINISTRATORLAB", "laboratory-only-administrator");
/// The AWS accounts: ours, and the customer's.
const ACCOUNTS: (&str, &str) = ("444455556666", "111122223333");
/// The customer's storage account on Azure, and the container in it.
const STORAGE: (&str, &str) = ("globexcalls", "recordings");
/// The customer's directory, and the application that is made there.
const TENANT: &str = "0f2b6d3c-5a1e-4c3f-9d43-6f8a2a1b7c55";

/// Starts the servers that callferry needs to be tried, and stops them again on Ctrl-C.
#[derive(Debug, Parser)]
#[command(after_help = "\
Example: lab
         then, in another terminal: source .local/lab/environment")]
struct Arguments {
    /// Where everything lies; what is there from an earlier time is removed
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Every server. Dropping it ends them.
struct Laboratory {
    rabbit: Rabbit,
    _postgres: Postgres,
    database_url: String,
    s3: S3Lab,
    azure: Option<Azure>,
}

/// The customer's Azure.
struct Azure {
    azurite: Azurite,
    entra: Entra,
    client_id: String,
    client_secret: String,
}

impl Laboratory {
    async fn start(dir: &Path) -> Result<Self> {
        let (rabbit_dir, postgres_dir) = (dir.join("rabbit"), dir.join("postgres"));
        let options = LabOptions {
            data_dir: Some(dir.join("buckets")),
            ..LabOptions::default()
        };
        let (servers, s3, azure) = tokio::join!(
            async { tokio::try_join!(Rabbit::start(&rabbit_dir), Postgres::start(&postgres_dir)) },
            S3Lab::start_with(options),
            Azure::start(dir),
        );
        let ((rabbit, mut postgres), s3) = (servers?, s3?);
        let (ours, customers) = ACCOUNTS;
        let us = Identity::new(OURS.0, OURS.1).named("callferry");
        s3.put_identity(us.of_account(ours).in_session("laboratory"));
        let everything = Policy::none().allow(&["s3:*", "iam:*"], &["*"]);
        let administrator = Identity::new(ADMINISTRATOR.0, ADMINISTRATOR.1).named("administrator");
        s3.put_identity(administrator.of_account(customers).allowed(everything));
        let database_url = postgres.create_database("callferry").await?;
        Ok(Self {
            rabbit,
            _postgres: postgres,
            database_url,
            s3,
            azure: azure?,
        })
    }
}

impl Azure {
    /// `None` where Azurite cannot be had, which is said.
    async fn start(dir: &Path) -> Result<Option<Self>> {
        let dir = dir.join("azure");
        fs::create_dir_all(&dir)?;
        let Some(azurite) = Azurite::start(&dir, Wire::Https, &[STORAGE.0]).await? else {
            return Ok(None);
        };
        azurite.create_container(STORAGE.0, STORAGE.1).await?;
        let entra = Entra::start().await.context("starting the token service")?;
        let client_id = uuid::Uuid::new_v4().to_string();
        let client_secret = uuid::Uuid::new_v4().simple().to_string();
        entra.register(TENANT, &client_id, &client_secret);
        Ok(Some(Self {
            azurite,
            entra,
            client_id,
            client_secret,
        }))
    }
}

/// An empty directory that no other laboratory uses; the lock ends with the file's handle.
fn prepare(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir)?;
    let lock = File::create(dir.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("a laboratory runs in {} already", dir.display()),
        Err(TryLockError::Error(error)) => return Err(error).context("locking the laboratory"),
    }
    fs::remove_dir_all(dir)?;
    fs::create_dir_all(dir)?;
    Ok(lock)
}

async fn run(dir: &Path) -> Result<()> {
    let lock = prepare(dir)?;
    println!("Starting RabbitMQ, PostgreSQL, S3 with STS and IAM, Azurite and tokens …");
    let laboratory = Laboratory::start(dir).await?;
    let environment = files::write(dir, &laboratory)?;
    println!("\n{}", fs::read_to_string(&environment)?);
    println!("In another terminal:  source {}", environment.display());
    println!("Ctrl-C ends it, and everything that it holds.");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    println!("\nStopping.");
    drop(laboratory);
    fs::remove_dir_all(dir)?;
    drop(lock);
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let dir = arguments
        .dir
        .unwrap_or_else(|| environment::local().join("lab"));
    let ended = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&dir)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
