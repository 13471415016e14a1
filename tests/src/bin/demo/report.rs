//! What the demo says.
#![expect(
    clippy::print_stdout,
    reason = "the demo talks to the person who started it"
)]

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use callferry_tests::fleet::Member;
use callferry_tests::platform::Platform;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::audio::Staged;
use crate::bad::{End, Oddity};
use crate::check::Verdict;

pub(crate) fn headline(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn line(text: &str) {
    println!("{text}");
}

pub(crate) fn failure(error: &anyhow::Error) {
    println!("\nFAILED: {error:#}");
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.iter().copied());
    table
}

pub(crate) fn servers(platform: &Platform, took: Duration) {
    println!("  RabbitMQ    {}", platform.rabbit.management_url());
    println!(
        "  S3 and STS  {} (an emulator of the tests' harness)",
        platform.lab.endpoint()
    );
    if let Ok(azure) = platform.azure() {
        println!(
            "  Azure       {} (Azurite, by Microsoft)",
            azure.azurite.address()
        );
    }
    println!("  staging     {}", platform.staging.display());
    println!("  ready in {:.1} s", took.as_secs_f32());
}

pub(crate) fn fleet(fleet: &[Member]) {
    headline("The fleet: separate processes of the real binary");
    for member in fleet {
        println!(
            "  {:<15} http://{}/metrics",
            member.name(),
            member.ops_addr()
        );
    }
}

pub(crate) fn accounts(verdict: &Verdict) {
    let mut rows = table(&[
        "account",
        "bucket",
        "recordings",
        "byte-identical",
        "bytes",
        "missing or wrong",
    ]);
    for account in &verdict.accounts {
        rows.add_row([
            account.name.to_owned(),
            account.bucket.clone(),
            account.staged.to_string(),
            account.identical.to_string(),
            account.bytes.to_string(),
            (account.staged - account.identical).to_string(),
        ]);
    }
    println!("{rows}");
    if verdict.differences.is_empty() {
        println!("  every object was fetched and is the recording that was staged;");
        println!("  staging holds exactly what must stay:");
    }
    for difference in &verdict.differences {
        println!("  DIFFERS: {difference}");
    }
}

pub(crate) fn oddities(oddities: &[Oddity]) {
    let mut rows = table(&["bad on purpose", "what became of it", "kept in staging"]);
    for oddity in oddities {
        let end = match oddity.end {
            End::Quarantine(reason) => format!("quarantine: {reason}"),
            End::Parked(_, reason) => format!("parked: {reason}"),
        };
        rows.add_row([oddity.what.to_owned(), end, oddity.stays.join("\n")]);
    }
    println!("{rows}");
}

pub(crate) async fn story(platform: &Platform, staged: &[Staged]) -> Result<()> {
    headline("The stories of two recordings, sent in parts to either cloud");
    let long = staged.iter().filter(|one| one.id == "long-call");
    let mut told = 0;
    for one in long {
        let args = ["recording", "show", "--account", one.account, &one.id];
        let shown = platform.fleet.run(&args).await?.success()?;
        println!("{}", shown.stdout.trim_end());
        told += 1;
    }
    ensure!(told > 0, "no long call");
    Ok(())
}

pub(crate) fn where_to_look(dir: &Path, took: Duration) {
    headline("Where to look next");
    println!("  logs of every process   {}", dir.join("logs").display());
    println!(
        "  the customers' buckets  {}",
        dir.join("buckets").display()
    );
    println!("  how it works            crates/README.md");
    println!("  the events              schemas/README.md");
    println!(
        "\nDone in {:.1} s; nothing is left running.",
        took.as_secs_f32()
    );
}
