//! Azure destinations as an operator sets and sees them, and that recordings reach them. What Azure
//! itself says in good and bad days is tested with `azure`.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// A key of nobody: "canary" in base64, often enough.
const KEY: &str =
    "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";
const SAS: &str = "sv=2023-11-03&sr=c&sp=rcw&se=2099-12-31T00%3A00%3A00Z&spr=https&sig=canary%3D";

/// A platform with an account and files that hold secrets.
struct Setting {
    platform: Platform,
    scratch: Scratch,
}

impl Setting {
    async fn new(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut platform = Platform::start(scratch.path()).await?;
        platform.plain_account("acme").await?;
        Ok(Self { platform, scratch })
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// Sets a container that is not there, so that it must be insisted on.
    async fn set(&self, container: &str, identity: &[&str]) -> Result<Value> {
        let store = ["azure", "--storage-account", "acmecalls"];
        let nowhere = ["--endpoint", "https://127.0.0.1:1025/acmecalls", "--force"];
        let named = ["--container", container];
        let args = [
            &["destination", "set", "acme"],
            &store,
            &named[..],
            &nowhere,
            identity,
        ];
        self.platform.json(&args.concat()).await
    }
}

#[tokio::test]
async fn each_identity_is_set_and_shown_without_its_secret() -> Result<()> {
    let setting = Setting::new("azure-set").await?;
    let fleet = &setting.platform.fleet;
    let key = setting.file("key", &format!("{KEY}\n"))?;
    let sas = setting.file("sas", SAS)?;
    let secret = setting.file("secret", "canary~1.\n")?;

    let by_key = setting.set("one", &["--access-key-file", &key]).await?;
    assert_eq!(by_key["cloud"], "azure", "{by_key}");
    assert_eq!(by_key["location"], "az://acmecalls/one", "{by_key}");
    assert_eq!(by_key["notes"], Value::Array(vec![]), "{by_key}");
    let same = setting.set("one", &["--access-key-file", &key]).await?;
    assert_eq!(same["revision"], by_key["revision"], "nothing changed");

    let by_sas = setting.set("two", &["--sas-token-file", &sas]).await?;
    assert_eq!(by_sas["sas_expires_at"], "2099-12-31T00:00:00Z", "{by_sas}");
    let notes = by_sas["notes"].to_string();
    assert!(notes.contains("cannot be played"), "{by_sas}");

    let principal = [
        ["--tenant-id", "72f988bf-86f1-41af-91ab-2d7cd011db47"],
        ["--client-id", "00001111-aaaa-2222-bbbb-3333cccc4444"],
        ["--client-secret-file", &secret],
    ];
    let by_principal = setting.set("three", &principal.concat()).await?;
    let shown = setting
        .platform
        .json(&["destination", "show", "acme"])
        .await?;
    assert_eq!(shown["identity"], "service_principal", "{shown}");
    assert_eq!(shown["revision"], by_principal["revision"], "{shown}");

    let listed = fleet
        .must(&["destination", "list", "acme", "--json"])
        .await?;
    assert_eq!(
        listed.json()?.as_array().map(Vec::len),
        Some(3),
        "{listed:?}"
    );
    let table = fleet.must(&["destination", "list"]).await?;
    assert!(table.stdout.contains("az://acmecalls/two"), "{table:?}");
    assert!(table.stdout.contains("2099-12-31"), "{table:?}");
    let federated = [&principal[..2].concat()[..], &["--federated"]].concat();
    let federated = setting.set("four", &federated).await?;
    assert_eq!(federated["identity"], "federated", "{federated}");
    let managed = setting.set("five", &["--managed-identity"]).await?;
    assert_eq!(managed["identity"], "managed_identity", "{managed}");
    assert!(
        managed["notes"].to_string().contains("is ours"),
        "{managed}"
    );
    let all = format!("{by_key}{by_sas}{by_principal}{shown}{listed:?}{table:?}");
    for secret in [KEY, "canary"] {
        assert!(!all.contains(secret), "{all}");
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_is_read_from_standard_input_and_what_is_set_is_said() -> Result<()> {
    let setting = Setting::new("azure-stdin").await?;
    let fleet = &setting.platform.fleet;
    let sas = setting.file("sas", &format!("?{SAS}\n"))?;
    let set = [
        "destination",
        "set",
        "default",
        "azure",
        "--storage-account",
        "ourcalls",
        "--container",
        "calls",
        "--prefix",
        "eu",
        "--endpoint",
        "https://127.0.0.1:1025/ourcalls",
        "--force",
        "--sas-token-file",
        "-",
    ];
    let told = fleet.run_reading(&set, sas.as_ref()).await?.success()?;
    for says in [
        "of default: az://ourcalls/calls/eu by SAS until 2099-12-31",
        "in force from the beginning",
        "note: with only a SAS",
    ] {
        assert!(told.stdout.contains(says), "{says}: {told:?}");
    }
    assert!(!told.stdout.contains("canary"), "{told:?}");
    // What a check of it found is said, and that it is set all the same.
    assert!(
        told.stderr.contains("FAILED") && told.stderr.contains("--force"),
        "{told:?}"
    );
    assert!(!told.stderr.contains("canary"), "{told:?}");
    let empty = setting.file("empty", "")?;
    let refused = fleet.run_reading(&set, empty.as_ref()).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("not one secret"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_process_without_the_key_shows_the_destination_and_says_which_key_it_lacks() -> Result<()>
{
    let setting = Setting::new("azure-locked").await?;
    let fleet = &setting.platform.fleet;
    let key = setting.file("key", KEY)?;
    setting.set("calls", &["--access-key-file", &key]).await?;
    let show = ["destination", "show", "acme", "--json"];
    let without = fleet
        .run_with(&show, &[("CALLFERRY_KEYRING_FILE", "")])
        .await?;
    let shown = without.success()?.json()?;
    assert_eq!(shown["location"], "az://acmecalls/calls", "{shown}");
    assert!(shown["notes"].to_string().contains("key ring"), "{shown}");
    let set = [
        "destination",
        "set",
        "acme",
        "azure",
        "--storage-account",
        "acmecalls",
    ];
    let set = [
        &set[..],
        &["--container", "calls", "--access-key-file", &key],
    ]
    .concat();
    let unset = [("CALLFERRY_KEYRING_FILE", "")];
    let refused = fleet.run_with(&set, &unset).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("keyring_file"), "{refused:?}");
    Ok(())
}

/// Bounds every wait; nothing is judged by how long it took.
const LONG: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_client_secret_that_ran_out_parks_and_the_fresh_one_drains_by_itself() -> Result<()> {
    let scratch = Scratch::new("azure-ran-out")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    let access = AzureAccess::ServicePrincipal;
    platform.azure_account("acme", access).await?;
    let shown = platform.json(&["destination", "show", "acme"]).await?;
    let word = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    let (tenant, client) = (word("tenant_id"), word("client_id"));
    let file = scratch.path().join("azure/acme-secret");
    let secret = std::fs::read_to_string(&file)?;
    let entra = &platform.azure()?.entra;
    entra.expire(&tenant, &client, &secret);

    let mut member = platform.fleet.start_ready("all", &["all"]).await?;
    let folder = platform.staging.join("acme");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("rec.wav"), b"RIFF one")?;
    let publish = ["publish", "--account", "acme", "acme"];
    platform.json(&publish).await?;
    let show = ["recording", "show", "--account", "acme", "rec", "--json"];
    let becomes = async |state: &str| {
        patience::until(&format!("it is {state}"), LONG, async || {
            let shown = platform.fleet.run(&show).await?.json().unwrap_or_default();
            Ok((shown["state"] == state).then_some(shown))
        })
        .await
    };
    let parked = becomes("parked").await?;
    assert_eq!(parked["reason"], "credential_refused", "{parked}");
    assert!(parked.to_string().contains("AADSTS7000222"), "{parked}");
    assert!(parked["next_attempt_at"].is_string(), "{parked}");
    assert_eq!(platform.staged_files()?.len(), 1);
    // The customer prolongs the same secret: nothing is asked of us.
    entra.register(&tenant, &client, &secret);
    let released = becomes("released").await?;
    let location = released["location"].as_str().unwrap_or_default();
    let stored = platform.azure_bytes(location).await?;
    assert_eq!(stored.as_deref(), Some(&b"RIFF one"[..]), "{released}");
    member.stop(LONG).await?;
    let log = member.log_text()?;
    assert!(!log.contains(secret.trim()), "a secret is in the log");
    Ok(())
}

#[tokio::test]
async fn recordings_reach_azure_by_each_identity_and_their_originals_go() -> Result<()> {
    let scratch = Scratch::new("azure-reached")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    let accounts = ["principal", "signed", "keyed", "federated", "managed"];
    for (name, access) in accounts.iter().zip(AzureAccess::ALL) {
        platform.azure_account(name, access).await?;
    }
    platform
        .azure_destination("default", AzureAccess::AccessKey)
        .await?;
    platform.plain_account("ours").await?;
    let mut member = platform.fleet.start_ready("all", &["all"]).await?;
    // Nobody's order decides: bytes that compress badly, and more than one block of them.
    let large: Vec<u8> = (0..17_u32 * 1024 * 1024)
        .map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1])
        .collect();
    let recordings = [
        ("small", &b"RIFF one"[..]),
        ("empty", b""),
        ("large", &large),
    ];
    for account in accounts.iter().chain(&["ours"]) {
        let folder = platform.staging.join(account);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in recordings {
            std::fs::write(folder.join(format!("{name}.wav")), bytes)?;
        }
        platform
            .json(&["publish", "--account", account, account])
            .await?;
    }
    for account in accounts.iter().chain(&["ours"]) {
        for (name, bytes) in recordings {
            let show = ["recording", "show", "--account", account, name, "--json"];
            let what = format!("{account}/{name} is released");
            let shown = patience::until(&what, LONG, async || {
                let shown = platform.fleet.run(&show).await?.json().unwrap_or_default();
                Ok((shown["state"] == "released").then_some(shown))
            });
            let shown = shown.await?;
            let location = shown["location"].as_str().unwrap_or_default();
            let stored = platform.azure_bytes(location).await?;
            assert!(stored.as_deref() == Some(bytes), "{shown}");
        }
    }
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    member.stop(LONG).await?;
    let log = member.log_text()?;
    assert!(!log.contains("sig="), "a signature is in the log:\n{log}");
    Ok(())
}
