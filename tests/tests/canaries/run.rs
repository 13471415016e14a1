//! The run: days, then the search.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::json;

use super::days::{self, LONG};
use super::search::{self, Canary};
use super::world::{World, word};

/// What came out, in a folder for each kind.
struct Outputs(PathBuf);

impl Outputs {
    fn keep(&self, kind: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.0.join(kind);
        fs::create_dir_all(&folder)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(folder.join(name))?;
        Ok(file.write_all(bytes)?)
    }

    /// Pages and command lines of a running process, and its environment.
    async fn of_member(&self, member: &Member) -> Result<()> {
        let name = member.name();
        for page in ["metrics", "readyz", "livez"] {
            let (_, text) = member.page(&format!("/{page}")).await?;
            self.keep(page, name, text.as_bytes())?;
        }
        let of =
            |file: &str| fs::read(Path::new("/proc").join(member.pid().to_string()).join(file));
        self.keep("cmdline", name, &of("cmdline")?)
    }

    /// A command, with and without `--json`, whatever it says.
    async fn of_command(
        &self,
        platform: &Platform,
        args: &[&str],
        own: &[(&str, &str)],
    ) -> Result<()> {
        for more in [&[][..], &["--json"]] {
            let said = platform.fleet.run_with(&[args, more].concat(), own).await?;
            let code = said.code;
            let text = format!("{args:?}: {code:?}\n{}\n{}\n", said.stdout, said.stderr);
            self.keep("commands", "all", text.as_bytes())?;
        }
        Ok(())
    }
}

/// A queue that hears every event there is.
async fn listen(platform: &Platform) -> Result<()> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let management = platform.rabbit.management();
    let body = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let queue = format!("/api/queues/{vhost}/heard");
    management.call("PUT", &queue, Some(body)).await?;
    let binding = format!("/api/bindings/{vhost}/e/callferry.recordings/q/heard");
    let all = json!({"routing_key": "#"});
    management.call("POST", &binding, Some(all)).await.map(drop)
}

#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn commands(out: &Outputs, world: &World, wrong: &[String; 2]) -> Result<()> {
    let platform = &world.platform;
    let good: &[&[&str]] = &[
        &["config"],
        &["status"],
        &["account", "list"],
        &["account", "show", "acme"],
        &["destination", "list"],
        &["destination", "show", "keyed"],
        &["destination", "show", "principal"],
        &["destination", "show", "signed"],
        &["recording", "list"],
        &["recording", "show", "--account", "principal", "day-1"],
        &["recording", "show", "--account", "wrong-sas", "day-1"],
        &["parked", "list"],
        &["quarantine", "list"],
        &["topology", "check"],
        &["keyring", "show"],
        &["keyring", "rotate", "--resume"],
        &["keyring", "retire", "k-none"],
        &["migrate", "--ledger-only"],
    ];
    for args in good {
        out.of_command(platform, args, &[]).await?;
    }
    let word = &wrong[0];
    let amqp = format!("amqp://u:{word}@127.0.0.1:1/v");
    let malformed = [
        ("CALLFERRY_AMQP_URL", amqp.clone()),
        ("CALLFERRY_AMQP_URL", format!("amqp:{word}@h")),
        ("CALLFERRY_AMQP_URL", format!("amqp://u:{word}@h:port/v")),
        (
            "CALLFERRY_AMQP_MANAGEMENT_URL",
            format!("http://u:{word}@127.0.0.1:1"),
        ),
        ("CALLFERRY_AMQP_MANAGEMENT_URL", format!("ftp://u:{word}@h")),
        (
            "CALLFERRY_DATABASE_URL",
            format!("postgres://u:{word}@127.0.0.1:1/d"),
        ),
        (
            "CALLFERRY_DATABASE_URL",
            format!("postgres://u:{word}@h:port/d"),
        ),
        ("CALLFERRY_DATABASE_URL", format!("host=h password={word}")),
        (
            "CALLFERRY_STS_ENDPOINT",
            format!("https://u:{word}@sts.example.test"),
        ),
        ("CALLFERRY_ENTRA_AUTHORITY", format!("https://h/?{word}")),
        ("CALLFERRY_LEASE_S", word.clone()),
    ];
    for (name, value) in &malformed {
        for args in [&["topology", "check"][..], &["status"], &["config"]] {
            out.of_command(platform, args, &[(name, value)]).await?;
        }
    }
    let scratch = out.0.with_file_name("wrong-secret");
    fs::write(&scratch, format!("{word} and more"))?;
    let file = scratch.display().to_string();
    let set = [
        "destination",
        "set",
        "acme",
        "azure",
        "--storage-account",
        "acmecalls",
    ];
    for flag in ["--access-key-file", "--sas-token-file"] {
        let args = [&set[..], &["--container", "calls", flag, &file]].concat();
        out.of_command(platform, &args, &[]).await?;
    }
    let endpoint = format!("https://u:{word}@s3.example.test/?sig={word}");
    let s3 = [
        "destination",
        "set",
        "acme",
        "s3",
        "--bucket",
        "calls",
        "--region",
        "r-1",
    ];
    let args = [&s3[..], &["--endpoint", &endpoint]].concat();
    out.of_command(platform, &args[..args.len() - 2], &[])
        .await?;
    let told = platform.fleet.run(&args).await?;
    out.keep("commands", "all", told.stderr.as_bytes())
}

async fn gather(out: &Outputs, world: &World) -> Result<()> {
    let platform = &world.platform;
    out.keep(
        "database",
        "dump.sql",
        &platform.postgres.dump("callferry").await?,
    )?;
    let heard = platform.rabbit.peek("heard", 5000).await?;
    assert!(heard.len() > 20, "the events were heard: {}", heard.len());
    out.keep("events", "all", serde_json::to_string(&heard)?.as_bytes())?;
    let definitions = platform.rabbit.peek("callferry.quarantine", 100).await?;
    out.keep(
        "events",
        "quarantine",
        serde_json::to_string(&definitions)?.as_bytes(),
    )
}

fn say(report: &search::Report, canaries: &[Canary]) {
    let mut text = format!(
        "searched for {} canaries in {} spellings:\n",
        canaries.len(),
        report.spellings
    );
    for (kind, bytes) in &report.bytes {
        text.push_str(&format!("  {kind:<10} {bytes:>10} bytes\n"));
    }
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_where_it_should_not_be() -> Result<()> {
    let scratch = Scratch::new("canaries")?;
    let Some(mut world) = World::new(scratch.path()).await? else {
        return Ok(());
    };
    for (key, value) in [
        ("LOG_FILTER", "trace,rustls=trace,axum=trace,mio=trace"),
        ("LEASE_S", "10"),
        ("ISOLATE_AFTER", "1"),
        ("TICK_MS", "200"),
        ("DRIVE_REDRIVE_S", "5"),
    ] {
        world.platform.fleet.set(&format!("CALLFERRY_{key}"), value);
    }
    listen(&world.platform).await?;
    let out = Outputs(scratch.folder("searched")?);
    let fleet = world.platform.fleet.clone();
    let text = [("CALLFERRY_LOG_FORMAT", "text")];
    let mut worker = fleet.start_ready("transfer", &["transfer"]).await?;
    let mut rest = vec![
        fleet.start_with("cleanup", &["cleanup"], &text)?,
        fleet.start_ready("housekeeping", &["housekeeping"]).await?,
    ];
    rest[0].ready(LONG).await?;
    days::good_and_wrong(&world).await?;
    days::expired_and_broken(&world).await?;
    out.of_member(&worker).await?;
    days::crashes(&world, &mut worker).await?;
    rest.push(fleet.start_with("transfer-text", &["transfer"], &text)?);
    rest[2].ready(LONG).await?;
    let wrong = [word(), word()];
    rest.extend(days::wrong_servers(&world, &wrong).await?);
    for member in &rest {
        out.of_member(member).await?;
    }
    for word in &wrong {
        world
            .canaries
            .push(Canary::new("a password that is wrong", word));
    }
    commands(&out, &world, &wrong).await?;
    for mut member in rest {
        member.stop(LONG).await?;
    }
    gather(&out, &world).await?;
    for (kind, folder) in [
        ("logs", scratch.path().join("logs")),
        ("staging", world.platform.staging.clone()),
        ("buckets", scratch.path().join("buckets")),
    ] {
        fs::rename(&folder, out.0.join(kind)).with_context(|| format!("{}", folder.display()))?;
    }
    let minted = world.minted();
    assert!(
        minted.len() > 6,
        "sessions and tokens were heard: {minted:?}"
    );
    let canaries = [world.canaries.clone(), minted].concat();
    let report = search::search(&out.0, &scratch.path().join("needles"), &canaries)?;
    say(&report, &canaries);
    assert!(report.bytes["logs"] > 100_000 && report.bytes["database"] > 10_000);
    assert_eq!(report.findings, Vec::<String>::new());
    Ok(())
}
