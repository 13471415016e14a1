//! An installation of before the HTTP interface and the health of destinations: its tables, its
//! users and its broker's permissions, upgraded by exactly the lines that the README has under
//! "Upgrading", and then at work.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::production::{DATABASE, LONG, Production, statement};
use super::tools;

/// The migrations that the earlier release had.
const OLD_MIGRATIONS: usize = 7;
/// What housekeeping may publish by now, and what it might then.
const PUBLISHES: [&str; 2] = [
    r"^(recording\\.(released|parked|expired)|destination\\.(unhealthy|healthy))\\.v1$",
    r"^recording\\.(released|parked)\\.v1$",
];

/// Takes away everything that a file says of a later user.
fn without(text: &str, words: &[&str]) -> Result<String> {
    let mut old = text.to_owned();
    for word in words {
        anyhow::ensure!(old.contains(word), "{word} is not there");
        old = old.replace(word, "");
    }
    Ok(old)
}

/// Broker, database and secrets as the earlier release left them.
async fn old_installation(production: &mut Production) -> Result<()> {
    let secrets = production.secrets.clone();
    for file in ["playback.toml", "database/callferry_playback"] {
        std::fs::remove_file(secrets.join(file))?;
    }
    let definitions = secrets.join("callferry-definitions.json");
    let now = std::fs::read_to_string(&definitions)?;
    anyhow::ensure!(now.contains(PUBLISHES[0]), "{now}");
    std::fs::write(&definitions, now.replace(PUBLISHES[0], PUBLISHES[1]))?;
    production.import().await?;

    let roles = without(
        &tools::text("postgres/roles.sql")?,
        &["'callferry_playback', ", "callferry_playback, "],
    )?;
    let file = secrets.join("old-roles.sql");
    std::fs::write(&file, roles)?;
    production.superuser(&file).await?;
    let passwords = std::fs::read_to_string(secrets.join("passwords.sql"))?;
    let passwords = passwords.lines().filter(|line| !line.contains("playback"));
    let file = secrets.join("old-passwords.sql");
    std::fs::write(&file, passwords.collect::<Vec<_>>().join("\n"))?;
    production.superuser(&file).await?;
    production.as_owner(&old_tables(&secrets)?).await
}

/// A script with the tables of the earlier release, as its `migrate` made them.
fn old_tables(secrets: &Path) -> Result<std::path::PathBuf> {
    let folder = callferry_tests::environment::repository().join("schemas/postgres");
    let entries = std::fs::read_dir(folder)?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let mut script = String::from(
        "\\set ON_ERROR_STOP on\nbegin;\ncreate table schema_migrations (version integer primary \
         key, name text not null, checksum text not null, applied_at timestamptz not null default \
         now());\n",
    );
    for (file, version) in files.iter().take(OLD_MIGRATIONS).zip(1..) {
        let sql = std::fs::read_to_string(file)?;
        let name = file.file_stem().and_then(|name| name.to_str());
        let name = name.context("a migration without a name")?;
        let checksum = hex::encode(Sha256::digest(sql.as_bytes()));
        script.push_str(&format!(
            "{sql}\ninsert into schema_migrations (version, name, checksum) values ({version}, \
             '{name}', '{checksum}');\n"
        ));
    }
    script.push_str("insert into accounts (account_id) values ('umbrella');\ncommit;\n");
    let file = secrets.join("old-tables.sql");
    std::fs::write(&file, script)?;
    Ok(file)
}

/// The lines of the README that are the same for every shape.
fn documented() -> Result<Vec<String>> {
    let readme = tools::text("README.md")?;
    let (_, section) = readme
        .split_once("\n## Upgrading\n")
        .context("no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("$ "));
    Ok(lines.map(str::to_owned).collect())
}

/// Runs a line as it is, in a folder with `deploy` and `secrets`, `callferry` on the path, and
/// returns what it said.
async fn typed(production: &mut Production, folder: &Path, line: &str) -> Result<String> {
    let bare = line.split(" #").next().unwrap_or_default().trim_end();
    if let Some(args) = bare.strip_prefix("rabbitmqctl ") {
        // The command line of a node that is not the machine's own.
        let file = folder.join("secrets/callferry-definitions.json");
        assert_eq!(
            args,
            "import_definitions secrets/callferry-definitions.json"
        );
        let file = file.display().to_string();
        let ctl = ["import_definitions", file.as_str()];
        production.platform.rabbit.ctl(&ctl).await?;
        return Ok(String::new());
    }
    let fleet = production.fleet("operator");
    let built = fleet
        .binary()
        .parent()
        .context("callferry is in no folder")?;
    let path = format!(
        "{}:{}",
        built.display(),
        callferry_tests::environment::path().to_string_lossy()
    );
    let mut environment = fleet.environment(&[]);
    // Each line says for itself who it is.
    environment.remove("CALLFERRY_CONFIG");
    let mut command = Command::new("bash");
    // A run of all tests has servers of its own, and says so in its environment, which would go
    // before the files that the lines name.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CALLFERRY_") {
            command.env_remove(name);
        }
    }
    command
        .args(["-euo", "pipefail", "-c", line])
        .current_dir(folder)
        .envs(environment)
        .envs(production.servers()?)
        .env("SUPERUSER", production.platform.postgres.url(DATABASE))
        .env("PATH", path);
    tools::must(&mut command).await
}

/// What whoever looks into a failure asks first: what was said so far, and what is applied.
async fn story(production: &Production, said: &[String], line: &str) -> String {
    let applied = "select string_agg(version::text, ' ') from schema_migrations";
    let applied = production.platform.postgres.sql(DATABASE, applied).await;
    format!("{line}\nafter {said:#?}\nwith {applied:?} applied")
}

/// Whether the broker lets housekeeping say how destinations are.
async fn says_how_destinations_are(production: &Production) -> Result<bool> {
    let path = "/api/topic-permissions/callferry/callferry-housekeeping";
    let management = production.platform.rabbit.management();
    let permissions = management.call("GET", path, None).await?;
    Ok(permissions.to_string().contains("destination"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_installation_is_upgraded_by_the_documented_lines_and_works() -> Result<()> {
    let mut production = Production::bare("upgrade").await?;
    old_installation(&mut production).await?;
    assert!(!says_how_destinations_are(&production).await?);
    // Why the lines are in this order: nobody is granted anything before everybody is there.
    let early = production
        .as_owner(&tools::deploy("postgres/grants.sql"))
        .await;
    let early = format!("{:#}", early.expect_err("granted to nobody"));
    assert!(
        early.contains("\"callferry_playback\" does not exist"),
        "{early}"
    );

    let folder = production.folder("release")?;
    symlink(tools::deploy(""), folder.join("deploy"))?;
    symlink(&production.secrets, folder.join("secrets"))?;
    let transfer = production.database_url("transfer")?;
    let lines = documented()?;
    assert_eq!(lines.len(), 6, "{lines:?}");
    let mut said = Vec::new();
    for line in &lines {
        match typed(&mut production, &folder, line).await {
            Ok(answer) => said.push(format!("{line}: {answer}")),
            Err(error) => return Err(error.context(story(&production, &said, line).await)),
        }
    }
    patience::until("the permissions are imported", LONG, async || {
        Ok(says_how_destinations_are(&production).await?.then_some(()))
    })
    .await?;
    assert_eq!(
        production.database_url("transfer")?,
        transfer,
        "passwords stay"
    );
    let accounts = "select string_agg(account_id, ',') from accounts";
    for user in ["playback", "operator"] {
        let said = statement(&production.database_url(user)?, accounts).await?;
        assert!(
            said.fine && said.out.trim() == "umbrella",
            "{user}: {}",
            said.all
        );
    }

    // And it works, nobody being refused anything.
    let refused_before = production.refusals()?;
    production.accounts().await?;
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 2,
        size_bytes: 20_000,
        seed: 1,
    };
    load.stage(&production.platform)?;
    let mut members = Vec::new();
    for role in ["transfer", "cleanup", "housekeeping"] {
        members.push(production.start(role, role).await?);
    }
    load.publish(&production.platform).await?;
    load::until_released(&production.platform, 2, LONG).await?;
    for member in &mut members {
        member.stop(LONG).await?;
    }
    let refused = production.refusals()?;
    assert_eq!(refused.get(refused_before.len()..), Some(&[][..]));
    Ok(())
}
