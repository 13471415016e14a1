//! An attempt at the command line: `destination set` in a place where the tests' names resolve.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use callferry_tests::fleet::{Fleet, Outcome};
use callferry_tests::scratch::{self, Scratch};

use super::attempts::NAMES;
use super::connecting::Of;

/// The command line, with names of the tests' own in `/etc/hosts`.
pub(crate) struct CommandLine {
    fleet: Fleet,
    key: String,
    _scratch: Scratch,
}

impl CommandLine {
    /// `None` where no file can be put over another for one process, which is said loudly.
    pub(crate) async fn new() -> Result<Option<Self>> {
        let scratch = Scratch::new("ssrf")?;
        let dir = scratch.path();
        let mut hosts = String::new();
        for (name, addresses) in NAMES {
            for address in addresses {
                writeln!(hosts, "{address} {name}")?;
            }
        }
        fs::write(dir.join("hosts"), hosts)?;
        let fleet = Fleet::new(dir)?;
        let wrapper = dir.join("callferry");
        let script = format!(
            "#!/bin/sh\nexec unshare -m sh -c \
             'mount --bind \"$0\" /etc/hosts && exec \"$@\"' {} {} \"$@\"\n",
            dir.join("hosts").display(),
            fleet.binary().display()
        );
        fs::write(&wrapper, script)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        let (ring, key) = (dir.join("keyring"), dir.join("key"));
        fs::write(&key, "Y2FuYXJ5".repeat(11))?;
        let fleet = Fleet::of(&wrapper, dir)
            .with(
                "CALLFERRY_DATABASE_URL",
                "postgres://nobody@127.0.0.1:1/none",
            )
            .with("CALLFERRY_KEYRING_FILE", ring.display().to_string());
        let made = fleet
            .run(&["keyring", "new", &ring.display().to_string()])
            .await?;
        if made.code != Some(0) {
            scratch::skip("ssrf at set-up", made.stderr.trim())?;
            return Ok(None);
        }
        Ok(Some(Self {
            fleet,
            key: key.display().to_string(),
            _scratch: scratch,
        }))
    }

    pub(crate) async fn set(&self, of: Of, endpoint: &str) -> Result<Outcome> {
        let arn = "arn:aws:iam::123456789012:role/callferry";
        let s3 = [
            "s3",
            "--bucket",
            "calls",
            "--region",
            "eu-west-1",
            "--role-arn",
            arn,
        ];
        let azure = [
            "azure",
            "--storage-account",
            "acmecalls",
            "--container",
            "calls",
        ];
        let secret = ["--access-key-file", &self.key];
        let store = match of {
            Of::S3 => s3.to_vec(),
            Of::Azure => [&azure[..], &secret[..]].concat(),
        };
        let args = [
            &["destination", "set", "acme"][..],
            &store,
            &["--endpoint", endpoint],
        ];
        self.fleet.run(&args.concat()).await
    }
}

/// What a person is told, if the command refused as it must: with the field and what helps.
pub(crate) fn refusal(outcome: &Outcome) -> String {
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let line = |begin: &str| {
        let line = outcome
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix(begin));
        line.unwrap_or_else(|| panic!("no {begin}in {outcome:?}"))
    };
    let (error, hint) = (line("error: "), line("hint: "));
    assert!(
        error.contains("--endpoint") && hint.contains("--endpoint"),
        "{outcome:?}"
    );
    error.to_owned()
}
