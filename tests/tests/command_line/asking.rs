//! How commands fail: the exit code, the hint, and silence on standard output. No servers.

use std::os::unix::fs::PermissionsExt;

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
        (vec!["run", "playback"], "CALLFERRY_JWT_ISSUER"),
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
    assert_refused(&outcome, 2, "`staging_region` is not configured");
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
async fn azure_is_asked_for_with_one_identity_and_no_secret_in_an_argument() -> Result<()> {
    let scratch = Scratch::new("asking-azure")?;
    let ring = scratch.path().join("keyring").display().to_string();
    let plain = Fleet::new(scratch.path())?.with("CALLFERRY_DATABASE_URL", "postgres://u@h/d");
    plain.must(&["keyring", "new", &ring]).await?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = scratch.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    };
    let words = file("words", "canary canary")?;
    let old = file("old", "sv=1&sr=c&sp=rcw&se=2020-01-01&sig=canary")?;
    let fleet = plain.with("CALLFERRY_KEYRING_FILE", ring);
    let set = [
        "destination",
        "set",
        "acme",
        "azure",
        "--container",
        "calls",
    ];
    let set = [&set[..], &["--storage-account", "acmecalls"]].concat();
    for (more, says) in [
        (vec![], "who we are"),
        (
            vec!["--tenant-id", "acme.example"],
            "--client-secret-file missing",
        ),
        (
            vec!["--sas-token-file", &old, "--access-key-file", &words],
            "different identities",
        ),
        (vec!["--access-key-file", &words], "not one secret"),
        (vec!["--access-key-file", "/does/not/exist"], "No such file"),
        (vec!["--sas-token-file", &old], "the SAS ended"),
        (vec!["--sas-token", "sig=canary"], "unexpected argument"),
        (
            vec!["--access-key-file", &words, "--endpoint", "http://h"],
            "https",
        ),
        (
            vec![
                "--access-key-file",
                &words,
                "--endpoint",
                "https://10.0.0.1/acmecalls",
            ],
            "private",
        ),
        (
            vec!["--access-key-file", &words, "--prefix", "a/../b"],
            "--prefix",
        ),
    ] {
        let outcome = fleet.run(&[&set[..], &more].concat()).await?;
        assert_refused(&outcome, 2, says);
        let told = outcome.stderr.replace(&words, "").replace(&old, "");
        assert!(
            says == "unexpected argument" || !told.contains("canary"),
            "{told}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_noted_and_none_is_taken_without_a_key_ring() -> Result<()>
{
    let scratch = Scratch::new("asking-open-secret")?;
    let fleet = Fleet::new(scratch.path())?.with("CALLFERRY_DATABASE_URL", "postgres://u@h/d");
    let (words, ring) = (scratch.path().join("words"), scratch.path().join("keyring"));
    std::fs::write(&words, "canary canary")?;
    std::fs::set_permissions(&words, std::fs::Permissions::from_mode(0o644))?;
    let (words, ring) = (words.display().to_string(), ring.display().to_string());
    fleet.must(&["keyring", "new", &ring]).await?;
    let set = [
        "destination",
        "set",
        "acme",
        "azure",
        "--container",
        "calls",
    ];
    let key = [
        "--storage-account",
        "acmecalls",
        "--access-key-file",
        &words,
    ];
    let set = [&set[..], &key].concat();
    let without = fleet.run(&set).await?;
    assert_refused(&without, 2, "`keyring_file` is not configured");
    assert!(
        without.stderr.contains("callferry keyring new"),
        "{without:?}"
    );
    let fleet = fleet.with("CALLFERRY_KEYRING_FILE", ring);
    let told = fleet.run(&set).await?.stderr;
    assert!(told.contains("can be read by others"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_key_ring_is_made_once_for_its_owner_alone_and_never_overwritten() -> Result<()> {
    let scratch = Scratch::new("asking-keyring")?;
    let fleet = Fleet::new(scratch.path())?;
    let file = scratch.path().join("keyring");
    let path = file.display().to_string();
    let made = fleet.must(&["keyring", "new", &path, "--json"]).await?;
    let answer = made.json()?;
    assert_eq!(answer["file"], path.as_str());
    let mode = std::fs::metadata(&file)?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file)?;
    let key_id = answer["key_id"].as_str().unwrap_or_default();
    assert!(!key_id.is_empty() && text.contains(key_id), "{answer}");
    let again = fleet.run(&["keyring", "new", &path]).await?;
    assert_refused(&again, 1, "exists");
    assert_eq!(std::fs::read_to_string(&file)?, text);

    // A ring that everybody may read is refused by everything that would use it.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let open = fleet
        .with("CALLFERRY_KEYRING_FILE", path)
        .with("CALLFERRY_DATABASE_URL", "postgres://u@h/d");
    let refused = open.run(&["account", "list"]).await?;
    assert_refused(&refused, 2, "everybody");
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
    // What only `run transfer` starts is told to whoever asks for it by name.
    let short = fleet.must(&["--help"]).await?;
    assert!(!short.stdout.contains("transfer-one"), "{short:?}");
    let own = fleet.must(&["transfer-one", "--help"]).await?;
    assert!(
        own.stdout.contains("callferry transfer-one --account"),
        "{own:?}"
    );
    Ok(())
}
