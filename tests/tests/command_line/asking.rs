//! How commands fail: the exit code, the hint, and silence on standard output. No servers.

use anyhow::Result;
use callferry_tests::fleet::{Fleet, Outcome};
use callferry_tests::ports::free_port;
use callferry_tests::scratch::Scratch;

fn assert_refused(outcome: &Outcome, code: i32, says: &str) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
    assert!(outcome.stderr.contains(says), "{says}: {outcome:?}");
}

#[tokio::test]
async fn asking_wrongly_ends_with_2_and_says_how_to_ask() -> Result<()> {
    let scratch = Scratch::new("asking-wrongly")?;
    let fleet = Fleet::new(scratch.path())?.with("CALLFERRY_DATABASE_URL", "postgres://u@h/d");
    let set = ["destination", "set", "acme", "s3", "--bucket", "acme-calls"];
    let set = [&set[..], &["--region", "eu-central-1"]].concat();
    let role = ["--role-arn", "arn:aws:iam::123456789012:role/x"];
    for (args, says) in [
        (vec!["run"], "required"),
        (vec!["run", "playback"], "later release"),
        (vec!["runn"], "unrecognized subcommand"),
        (vec!["account", "create", "../etc"], "ACCOUNT"),
        (vec!["account", "create", "default"], "default"),
        (set.clone(), "--role-arn"),
        (
            [&set[..], &role, &["--prefix", "a/../b"]].concat(),
            "--prefix",
        ),
        (
            [&set[..], &role, &["--endpoint", "http://h"]].concat(),
            "https",
        ),
        (
            [&set[..], &role, &["--endpoint", "https://10.0.0.1"]].concat(),
            "private",
        ),
        (
            [&set[..], &["--role-arn", "arn:aws:iam::1:role/x"]].concat(),
            "--role-arn",
        ),
        (vec!["parked", "retry"], "not said"),
        (
            vec!["recording", "list", "--account", "a", "--state", "lost"],
            "staged",
        ),
    ] {
        assert_refused(&fleet.run(&args).await?, 2, says);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_configured_is_named_with_its_variable() -> Result<()> {
    let scratch = Scratch::new("asking-unconfigured")?;
    let fleet = Fleet::new(scratch.path())?;
    for (args, names) in [
        (vec!["account", "list"], "CALLFERRY_DATABASE_URL"),
        (vec!["topology", "check"], "CALLFERRY_AMQP_URL"),
        (
            vec!["publish", "--account", "a", "x.wav"],
            "CALLFERRY_STAGING_URL",
        ),
        (vec!["migrate"], "CALLFERRY_STAGING_URL"),
    ] {
        let outcome = fleet.run(&args).await?;
        assert_refused(&outcome, 2, "is not configured");
        assert!(outcome.stderr.contains(names), "{outcome:?}");
        assert!(outcome.stderr.contains("\nhint: "), "{outcome:?}");
    }
    let bucket = fleet
        .clone()
        .with("CALLFERRY_STAGING_URL", "s3://bucket/prefix");
    let outcome = bucket.run(&["publish", "--account", "a", "x.wav"]).await?;
    assert_refused(&outcome, 2, "not supported yet");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_ends_a_command_with_1_and_no_password_is_repeated() -> Result<()> {
    let scratch = Scratch::new("asking-away")?;
    let staging = scratch.folder("staging")?;
    std::fs::create_dir_all(staging.join("acme"))?;
    std::fs::write(staging.join("acme/rec.wav"), "x")?;
    let port = free_port()?;
    let fleet = Fleet::new(scratch.path())?
        .with(
            "CALLFERRY_DATABASE_URL",
            format!("postgres://u:canary@127.0.0.1:{port}/d"),
        )
        .with(
            "CALLFERRY_AMQP_URL",
            format!("amqp://u:canary@127.0.0.1:{port}"),
        )
        .with(
            "CALLFERRY_STAGING_URL",
            format!("file://{}", staging.display()),
        );
    for args in [
        vec!["account", "list", "--json"],
        vec!["status"],
        vec!["migrate"],
        vec!["topology", "apply"],
        vec!["publish", "--account", "acme", "acme"],
    ] {
        let outcome = fleet.run(&args).await?;
        assert_refused(&outcome, 1, "\nhint: ");
        assert!(!outcome.stderr.contains("canary"), "{outcome:?}");
    }
    let shown = fleet.must(&["config", "--json"]).await?;
    assert!(!shown.stdout.contains("canary"), "{shown:?}");
    assert_eq!(shown.json()?["prefetch"], 64);
    Ok(())
}

#[tokio::test]
async fn help_and_version_are_answers() -> Result<()> {
    let scratch = Scratch::new("asking-help")?;
    let fleet = Fleet::new(scratch.path())?;
    for args in [vec!["--help"], vec!["run", "--help"], vec!["--version"]] {
        let outcome = fleet.must(&args).await?;
        assert!(outcome.stdout.contains("callferry"), "{outcome:?}");
        assert!(outcome.stderr.is_empty(), "{outcome:?}");
    }
    Ok(())
}
