//! Custody receipts on the command line, without a server: keys, verification, and whether others'
//! programs come to the same verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use callferry_tests::environment;
use callferry_tests::fleet::Fleet;
use callferry_tests::scratch::{Scratch, skip};
use serde_json::{Value, json};

fn example(name: &str) -> PathBuf {
    environment::repository()
        .join("schemas/examples")
        .join(name)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Verifies with somebody else's program. `None`: it cannot be had here, which is said loudly.
fn others_say(program: &str, args: &[&str]) -> Result<Option<bool>> {
    let what = format!("verifying a receipt with {program}");
    let mut command = Command::new(program);
    let asked = command
        .args(args)
        .env_clear()
        .env("PATH", environment::path());
    let output = match asked.output() {
        Ok(output) => output,
        Err(error) => return skip(&what, &error.to_string()).map(|()| None),
    };
    if String::from_utf8_lossy(&output.stderr).contains("No module named") {
        return skip(&what, "it has no library for Ed25519").map(|()| None);
    }
    Ok(Some(output.status.success()))
}

/// Verifies a JWS with a JSON Web Key Set, as RFC 7515 says, in ten lines that are not ours.
const PYTHON: &str = r#"
import base64, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
raw = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
header, payload, signature = open(sys.argv[1]).read().strip().split(".")
kid = json.loads(raw(header))["kid"]
key = [key for key in json.load(open(sys.argv[2]))["keys"] if key["kid"] == kid][0]
key = Ed25519PublicKey.from_public_bytes(raw(key["x"]))
key.verify(raw(signature), (header + "." + payload).encode())
assert json.loads(raw(payload))["recording_id"] == "rec-7f3a"
"#;

#[tokio::test]
async fn a_receipt_is_verified_by_us_by_python_and_by_openssl_and_a_changed_one_by_nobody()
-> Result<()> {
    let scratch = Scratch::new("receipt-others")?;
    let fleet = Fleet::new(scratch.path())?;
    let event = fs::read_to_string(example("valid/recording.stored.v1.json"))?;
    let event: Value = serde_json::from_str(&event)?;
    let receipt = event["data"]["signed_receipt"].as_str().context("none")?;
    let (message, signature) = receipt.rsplit_once('.').context("no JWS")?;
    let mut changed = BASE64_URL_SAFE_NO_PAD.decode(signature)?;
    changed[40] ^= 1;
    let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
    let keys = text(&example("receipt-keys.json"));
    let public = [("CALLFERRY_RECEIPT_KEY_FILE", keys.as_str())];
    let pem = ["receipt-key", "export-public", "--format", "pem"];
    let pem = fleet.run_with(&pem, &public).await?.success()?.stdout;
    let file = |name: &str| scratch.path().join(name);
    fs::write(file("key.pem"), pem)?;
    fs::write(file("message"), message)?;
    fs::write(file("verify.py"), PYTHON)?;
    let script = text(&file("verify.py"));
    for (signature, is_valid) in [(signature, true), (changed.as_str(), false)] {
        fs::write(file("receipt"), format!("{message}.{signature}\n"))?;
        fs::write(file("signature"), BASE64_URL_SAFE_NO_PAD.decode(signature)?)?;
        let receipt = text(&file("receipt"));
        for key in [&keys, &text(&file("key.pem"))] {
            let args = ["receipt", "verify", &receipt, "--public-key", key];
            let ours = fleet.run(&args).await?;
            assert_eq!(ours.code, Some(i32::from(!is_valid)), "{ours:?}");
        }
        let python = others_say("python3", &[&script, &receipt, &keys])?;
        assert!(python.is_none_or(|said| said == is_valid), "python");
        let (key, signed) = (text(&file("key.pem")), text(&file("signature")));
        let message = text(&file("message"));
        let openssl = [
            "pkeyutl", "-verify", "-pubin", "-inkey", &key, "-rawin", "-in", &message,
        ];
        let openssl = [&openssl[..], &["-sigfile", &signed]].concat();
        let openssl = others_say("openssl", &openssl)?;
        assert!(openssl.is_none_or(|said| said == is_valid), "openssl");
    }
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn the_exit_code_says_valid_not_valid_or_asked_wrongly() -> Result<()> {
    let scratch = Scratch::new("receipt-verify")?;
    let fleet = Fleet::new(scratch.path())?;
    let keep = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = scratch.path().join(name);
        fs::write(&path, bytes)?;
        Ok(text(&path))
    };
    let good = text(&example("valid/recording.stored.v1.json"));
    let keys = text(&example("receipt-keys.json"));
    let told = fleet
        .must(&["receipt", "verify", &good, "--public-key", &keys])
        .await?;
    for says in [
        "Valid: the copy of acme/rec-7f3a was there and proven at 2026-11-22T10:00:07.123456Z",
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "s3://acme-recordings/calls/call/2026/11/22/rec-7f3a.wav",
        "reported_checksum",
    ] {
        assert!(told.stdout.contains(says), "{says}: {told:?}");
    }
    let read = fleet
        .run_reading(
            &["receipt", "verify", "-", "--public-key", &keys, "--json"],
            Path::new(&good),
        )
        .await?;
    assert_eq!(read.json()?["valid"], true, "{read:?}");

    let event: Value = serde_json::from_str(&fs::read_to_string(&good)?)?;
    let mut other = event.clone();
    other["data"]["recording_id"] = json!("rec-other");
    let mut unsigned = event.clone();
    if let Some(data) = unsigned["data"].as_object_mut() {
        data.remove("signed_receipt");
    }
    let twice = event.to_string().replacen('{', "{\"id\":\"x\",", 1);
    let other = keep("other.json", other.to_string().as_bytes())?;
    let unsigned = keep("unsigned.json", unsigned.to_string().as_bytes())?;
    let twice = keep("twice.json", twice.as_bytes())?;
    let huge = keep("huge.json", &vec![b' '; 300 * 1024])?;
    let binary = keep("binary", &[0xff, 0xfe])?;
    let recording = keep("recording.wav", b"not the recording")?;
    let absent = text(&scratch.path().join("absent"));
    let made = fleet
        .must(&["receipt-key", "new", &text(&scratch.path().join("key"))])
        .await?;
    assert!(
        made.stdout.contains("CALLFERRY_RECEIPT_KEY_FILE"),
        "{made:?}"
    );
    let private = text(&scratch.path().join("key"));
    let own = [("CALLFERRY_RECEIPT_KEY_FILE", private.as_str())];
    let strange = fleet.run_with(&["receipt", "keys", "--json"], &own).await?;
    let strange = keep("strange.json", strange.success()?.stdout.as_bytes())?;
    let with = |receipt: &str, keys: &str, file: &[&str]| -> Vec<String> {
        let args = ["receipt", "verify", receipt, "--public-key", keys];
        [&args[..], file]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    for (args, code, says) in [
        (with(&other, &keys, &[]), 1, "`data.recording_id`"),
        (with(&unsigned, &keys, &[]), 1, "no signed receipt"),
        (with(&twice, &keys, &[]), 1, "no key twice"),
        (with(&huge, &keys, &[]), 1, "256 KiB"),
        (with(&binary, &keys, &[]), 1, "UTF-8"),
        (with(&good, &strange, &[]), 1, "not among the public keys"),
        (
            with(&good, &keys, &["--file", &recording]),
            1,
            "has 17 bytes",
        ),
        (with(&absent, &keys, &[]), 2, "absent"),
        (with(&good, &absent, &[]), 2, "--public-key"),
        (with(&good, &good, &[]), 2, "no Ed25519"),
        (with(&good, &private, &[]), 2, "neither a JSON Web Key Set"),
        (with(&good, "-", &[]), 2, "must be a file"),
        (with(&good, &keys, &["--file", &absent]), 2, "the recording"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let outcome = fleet.run(&args).await?;
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.stderr.contains(says), "{says}: {outcome:?}");
        assert!(outcome.stderr.contains("hint: "), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
    }
    let refused = fleet
        .run(&["receipt", "verify", &other, "--public-key", &keys, "--json"])
        .await?;
    assert_eq!(
        (refused.code, &refused.json()?["valid"]),
        (Some(1), &json!(false))
    );
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn keys_are_made_shown_prepared_and_turned_and_no_answer_has_a_private_one() -> Result<()> {
    let scratch = Scratch::new("receipt-key")?;
    let mut fleet = Fleet::new(scratch.path())?;
    for args in [
        &["receipt-key", "show"][..],
        &["receipt-key", "rotate"],
        &["receipt", "keys"],
    ] {
        let refused = fleet.run(args).await?;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("CALLFERRY_RECEIPT_KEY_FILE"),
            "{refused:?}"
        );
    }
    let file = scratch.path().join("receipt-key");
    fleet.set("CALLFERRY_RECEIPT_KEY_FILE", text(&file));
    let made = fleet
        .must(&["receipt-key", "new", &text(&file), "--json"])
        .await?;
    let first = made.json()?["key_id"].clone();
    assert_eq!(made.json()?["configured"], true);
    let again = fleet.run(&["receipt-key", "new", &text(&file)]).await?;
    assert_eq!(again.code, Some(1), "{again:?}");
    let prepared = fleet
        .must(&["receipt-key", "rotate", "--prepare", "--json"])
        .await?;
    let second = prepared.json()?["prepared"].clone();
    assert_eq!(prepared.json()?["key_id"], first);
    let secrets = fs::read_to_string(&file)?;
    let secrets: Vec<_> = secrets
        .lines()
        .filter_map(|line| line.strip_prefix("private = "))
        .map(|quoted| quoted.trim_matches('"').to_owned())
        .collect();
    assert_eq!(secrets.len(), 2);
    let mut answers = Vec::new();
    for args in [
        &["receipt-key", "show", "--json"][..],
        &["receipt-key", "show"],
        &["receipt", "keys", "--json"],
        &["receipt", "keys"],
        &["receipt-key", "export-public"],
        &["receipt-key", "export-public", "--format", "pem", "--json"],
        &["config"],
        &["config", "--json"],
        &["receipt-key", "rotate", "--json"],
        &["receipt-key", "show", "--json"],
    ] {
        let outcome = fleet.must(args).await?;
        for secret in &secrets {
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.contains(secret), "{args:?}");
        }
        answers.push(outcome);
    }
    let turned = answers[8].json()?;
    assert_eq!((&turned["key_id"], &turned["previous"]), (&second, &first));
    let standing = |shown: &Value, id: &Value| {
        let mut keys = shown.as_array().into_iter().flatten();
        keys.find(|key| key["key_id"] == *id)
            .map(|key| key["standing"].clone())
    };
    for (answer, id, word) in [
        (0, &first, "current"),
        (0, &second, "prepared"),
        (9, &first, "retired"),
        (9, &second, "current"),
    ] {
        let shown = answers[answer].json()?;
        assert_eq!(standing(&shown, id), Some(json!(word)), "{shown}");
    }
    assert_eq!(
        answers[2].json()?,
        serde_json::from_str::<Value>(&answers[4].stdout)?
    );
    let left = fs::read_to_string(&file)?;
    let left = secrets.iter().filter(|secret| left.contains(*secret));
    assert_eq!(left.count(), 1, "the older private key is thrown away");
    Ok(())
}
