//! The README's section "From nothing to the first recording", followed literally: every command
//! of it, in its order, in one shell, against the laboratory that it starts.
//!
//! Two things differ from what a person types. `make lab` is the program that it would build, with
//! its files in this test's own folder; and what the README says to repeat is repeated.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::child::{Launch, Supervised};
use callferry_tests::scratch::Scratch;
use callferry_tests::{environment, patience, scratch};

const SECTION: &str = "## From nothing to the first recording";
/// Servers, a fleet, and eight commands or so, on a machine that does other things as well.
const LIMIT: Duration = Duration::from_secs(400);

/// The commands of the section, one each, lines that go on put together.
fn commands(readme: &str) -> Result<Vec<String>> {
    let (_, section) = readme.split_once(SECTION).context("no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut commands: Vec<String> = Vec::new();
    let mut within = false;
    let mut goes_on = false;
    for line in section.lines() {
        if line.starts_with("```") {
            within = line == "```console";
            continue;
        }
        if !within {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (true, Some(last)) = (goes_on, commands.last_mut()) {
            last.push('\n');
            last.push_str(line);
        }
        goes_on = line.ends_with('\\');
    }
    Ok(commands)
}

/// Repeats a look at a recording until it is released, as the README says.
fn repeated(command: &str) -> String {
    format!(
        "for _ in $(seq 240); do told=$({command}); \
         case $told in *released*) break;; esac; sleep 0.5; done; \
         echo \"$told\"; case $told in *released*) ;; *) exit 9;; esac"
    )
}

/// The section as a script for `bash`, with the laboratory's files in `lab`.
fn script(readme: &str, lab: &Path) -> Result<String> {
    let mut script = String::from(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n",
    );
    for command in commands(readme)? {
        let command = command.replace(".local/lab", &lab.display().to_string());
        let first = command.lines().next().unwrap_or_default();
        let bare = first.split(" #").next().unwrap_or_default().trim_end();
        if bare.starts_with("make ") {
            continue;
        }
        script.push_str(&format!(
            "echo \"==== $(cat <<'COMMAND'\n{command}\nCOMMAND\n)\"\n"
        ));
        if bare.starts_with("callferry recording show ") {
            script.push_str(&repeated(bare));
        } else {
            script.push_str(&command);
        }
        script.push('\n');
    }
    Ok(script)
}

async fn laboratory(dir: &Path, lab: &Path) -> Result<Supervised> {
    let launch = Launch::new("lab", env!("CARGO_BIN_EXE_lab"), &dir.join("lab.log"));
    let mut server = launch.args(["--dir", &lab.display().to_string()]).start()?;
    patience::until("the laboratory is there", LIMIT, async || {
        server.must_run()?;
        Ok(lab.join("environment").exists().then_some(()))
    })
    .await?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_leads_from_nothing_to_a_recording_in_each_cloud() -> Result<()> {
    let what = "the README's journey";
    if super::documents::installed("aws/bin/aws", what)?.is_none() {
        return Ok(());
    }
    let dir = Scratch::new("journey")?;
    let lab = dir.path().join("lab");
    let _server = laboratory(dir.path(), &lab).await?;
    if !lab.join("azure/azurite").exists() {
        return scratch::skip(what, "no Azurite here");
    }
    let readme = fs::read_to_string(environment::repository().join("README.md"))?;
    let script = script(&readme, &lab)?;
    let file = dir.path().join("journey.sh");
    fs::write(&file, &script)?;
    let work = dir.folder("work")?;
    let told = dir.path().join("journey.log");
    let launch = Launch::new("journey", "bash", &told)
        .args([&file])
        .directory(&work);
    let home = [("HOME", work.display().to_string())];
    let mut journey = launch.envs(home).start()?;
    let status = journey.wait(LIMIT).await?;
    let said = fs::read_to_string(&told)?;
    assert!(status.success(), "{status}\n{script}\n{said}");
    for says in [
        "az://globexcalls/recordings",
        "s3://acme-recordings",
        "arn:aws:iam::111122223333:role/callferry-acme",
    ] {
        assert!(said.contains(says), "{says}: {said}");
    }
    Ok(())
}

#[test]
fn commands_are_read_as_they_are_typed() -> Result<()> {
    let readme = "# x\n## From nothing to the first recording\n\n\
                  ```console\n$ make lab # a\n$ a \\\n    \
                  --b\nanswer\n```\n```\n$ no\n```\n## Next\n```console\n$ no\n```\n";
    assert_eq!(commands(readme)?, ["make lab # a", "a \\\n    --b"]);
    Ok(())
}
