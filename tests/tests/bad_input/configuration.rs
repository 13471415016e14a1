//! Configurations that are damaged, given to the real binary: it shows what it understood, or
//! refuses with exit code 2, the reason and a hint; it never panics, and does not repeat what was
//! a password in the file. The inputs are those of the fuzz corpus, and mutations of them.

use std::fs;
use std::path::Path;

use anyhow::Result;
use callferry_tests::fleet::{Fleet, Outcome};
use callferry_tests::fuzz;
use callferry_tests::scratch::Scratch;

/// Mutations of each input of the corpus, besides the input itself.
const MUTATIONS: u64 = 1;
/// Mutations of the file with passwords.
const OF_SECRETS: u64 = 100;

/// A sound file; every password in it is the same word.
const SECRETS: &str = r#"
amqp_url = "amqp://u:canary@h:5672/v"
amqp_management_url = "http://u:canary@h:15672"
database_url = "postgres://u:canary@h/d"
staging_url = "file:///srv/calls"
allowed_private_ranges = ["10.0.0.0/8", "192.168.1.7"]
prefetch = 64
log_filter = "info,broker=debug"
[drive]
growing_s = 5
"#;

async fn verdict(fleet: &Fleet, file: &Path, bytes: &[u8]) -> Result<Outcome> {
    fs::write(file, bytes)?;
    let name = file.display().to_string();
    let outcome = fleet.run(&["config", "--json", "--config", &name]).await?;
    let what = || format!("{outcome:?}\nof {}", String::from_utf8_lossy(bytes));
    match outcome.code {
        Some(0) => {
            assert!(outcome.json()?.is_object(), "{}", what());
            assert!(outcome.stderr.is_empty(), "{}", what());
        }
        Some(2) => {
            assert!(outcome.stdout.is_empty(), "{}", what());
            assert!(outcome.stderr.starts_with("error: "), "{}", what());
            assert!(outcome.stderr.contains("\nhint: "), "{}", what());
        }
        Some(_) | None => panic!("neither understood nor refused: {}", what()),
    }
    Ok(outcome)
}

#[tokio::test]
async fn a_damaged_configuration_is_understood_or_refused_with_a_reason_and_a_hint() -> Result<()> {
    let scratch = Scratch::new("bad-configuration")?;
    let fleet = Fleet::new(scratch.path())?;
    let file = scratch.path().join("callferry.toml");
    let (mut understood, mut refused) = (0, 0);
    for (_, bytes) in fuzz::corpus("configuration")? {
        let mut inputs = vec![bytes.clone()];
        inputs.extend(fuzz::mutations(&bytes, MUTATIONS));
        for bytes in inputs {
            match verdict(&fleet, &file, &bytes).await?.code {
                Some(0) => understood += 1,
                Some(_) | None => refused += 1,
            }
        }
    }
    assert!(understood > 0 && refused > 0, "{understood} {refused}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_configuration_gives_no_password_away() -> Result<()> {
    let scratch = Scratch::new("bad-configuration-secret")?;
    let fleet = Fleet::new(scratch.path())?;
    let file = scratch.path().join("callferry.toml");
    let whole = verdict(&fleet, &file, SECRETS.as_bytes()).await?;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let mut inputs = vec![SECRETS.as_bytes().to_vec()];
    inputs.extend(fuzz::mutations(SECRETS.as_bytes(), OF_SECRETS));
    for bytes in inputs {
        let outcome = verdict(&fleet, &file, &bytes).await?;
        for text in [&outcome.stdout, &outcome.stderr] {
            let damaged = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("canary"), "{outcome:?}\nof {damaged}");
        }
    }
    Ok(())
}
