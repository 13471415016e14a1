//! The player page in a real browser: a recording is heard through the redirect in an `<audio>`
//! element, sought in, and goes on; the token is in no address and the page wants nothing from
//! elsewhere. The pictures are `.local/player.png`, `player-dark.png` and `player-refused.png`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use callferry_tests::environment::{local, path, repository};
use callferry_tests::platform::Platform;
use callferry_tests::scratch::{Scratch, skip};
use callferry_tests::{load, patience};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::served::{LONG, Served};

/// Long enough that no browser fetches all of it at once: a seek asks for a range.
const SECONDS: u32 = 600;
const RATE: u32 = 8000;
/// Far more than it takes.
const LIMIT: Duration = Duration::from_secs(240);

/// A recording in telephone quality: two voices that take turns, as far as a browser cares.
fn wav() -> Vec<u8> {
    let samples = SECONDS * RATE;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + samples * 2).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    for word in [1_u16, 1] {
        wav.extend(word.to_le_bytes());
    }
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * 2).to_le_bytes());
    for word in [2_u16, 16] {
        wav.extend(word.to_le_bytes());
    }
    wav.extend(b"data");
    wav.extend((samples * 2).to_le_bytes());
    for sample in 0..samples {
        let period = if (sample / (3 * RATE)).is_multiple_of(2) {
            40
        } else {
            24
        };
        let wave = i16::try_from(sample % period).unwrap_or(0) * 200 - 2000;
        wav.extend(wave.to_le_bytes());
    }
    wav
}

/// Stores it.
async fn stored(platform: &Platform) -> Result<()> {
    let folder = platform.staging.join("acme");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("call-2026-11-23-0917.wav"), wav())?;
    let mut transfer = platform
        .fleet
        .start_ready("transfer", &["transfer"])
        .await?;
    let folder = folder.display().to_string();
    let publish = [
        "publish",
        "--account",
        "acme",
        "--media-type",
        "audio/wav",
        &folder,
    ];
    platform.fleet.run(&publish).await?.success()?;
    patience::until("it is stored", LONG, async || {
        let states = load::states(platform).await?;
        Ok((states.get("stored").copied().unwrap_or(0) > 0).then_some(()))
    })
    .await?;
    transfer.stop(LONG).await
}

async fn listened(served: &Served, tool: &Path) -> Result<Value> {
    let file = served.scratch.path().join("token");
    fs::write(&file, served.token(Some("acme"), "recordings:play")?)?;
    let page = format!("{}/play/call-2026-11-23-0917", served.root);
    let picture = |name: &str| local().join(name);
    let mut command = Command::new("node");
    command
        .arg(tool.join("listen.mjs"))
        .args(["--page", &page])
        .args([Path::new("--token-file"), &file])
        .args([Path::new("--out"), &picture("player.png")])
        .args([Path::new("--dark"), &picture("player-dark.png")])
        .args([Path::new("--refused"), &picture("player-refused.png")])
        .env_clear()
        .env("PATH", path())
        // The browser keeps its state there.
        .env("HOME", served.scratch.path())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await;
    let output = output.context("the browser did not end")??;
    let (said, wrong) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{said}\n{wrong}");
    Ok(serde_json::from_str(&said)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_hears_a_recording_through_the_redirect_seeks_and_goes_on() -> Result<()> {
    let tool = repository().join("tests/tools/player");
    if !tool.join("node_modules/playwright-core").exists() {
        let why = "deploy/local/install.sh player has not run or could not install it";
        return skip("listening on the player page", why);
    }
    let scratch = Scratch::new("http-player")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    stored(&platform).await?;
    let served = Served::of(platform, scratch, &[]).await?;
    let told = listened(&served, &tool).await?;
    let (light, dark, refused) = (&told["light"], &told["dark"], &told["refused"]);
    assert_eq!(light["kind"], "AUDIO");
    assert_eq!(light["faults"], serde_json::json!([]), "{light}");
    assert_eq!(dark["faults"], serde_json::json!([]), "{dark}");
    assert_eq!(light["playing"], true);
    let (length, sought) = (light["duration"].as_f64(), light["soughtTo"].as_f64());
    let length = length.context("no length")?;
    assert!((length - f64::from(SECONDS)).abs() < 1.0, "{length}");
    assert!(sought.context("no place")? > length * 0.9, "{sought:?}");

    // Through our redirect to the bucket, and after the seek for a range of it.
    let lab = served.platform.lab.endpoint();
    let requests = light["requests"].as_array().context("none")?;
    let has = |from: &str, status: u64| {
        let mut all = requests.iter();
        all.any(|it| {
            let url = it["url"].as_str().unwrap_or_default();
            url.starts_with(from) && it["status"] == status
        })
    };
    assert!(
        has(&format!("{}/v1/recordings/", served.root), 302),
        "{requests:#?}"
    );
    assert!(has(&lab, 206) || has(&lab, 200), "{requests:#?}");
    let after = light["afterSeek"].as_array().context("none")?;
    let far = after.iter().any(|it| {
        let range = it["range"].as_str().unwrap_or_default();
        let start = range.trim_start_matches("bytes=").split('-').next();
        let start = start.and_then(|start| start.parse::<u64>().ok());
        start.is_some_and(|start| start > 1_000_000)
    });
    assert!(far, "no range was asked for: {after:#?}");

    // The token is in no address, no script can read it, and nobody else was asked for anything.
    let token = fs::read_to_string(served.scratch.path().join("token"))?;
    for visit in [light, dark, refused, &told["failed"]] {
        assert_eq!(visit["cookies"], "");
        assert!(!visit["address"].to_string().contains(&token));
        for request in visit["requests"].as_array().context("none")? {
            let url = request["url"].as_str().context("no url")?;
            assert!(!url.contains(&token), "{url}");
            let ours = url.starts_with(&served.root) || url.starts_with(&lab);
            assert!(ours || url.starts_with("data:"), "{url}");
        }
    }
    assert_ne!(dark["background"], "rgb(242, 244, 247)");
    let alert = refused["alert"].as_str().context("no alert")?;
    assert!(alert.contains("not accepted"), "{alert}");
    assert_eq!(refused["focused"], "token");
    recovered(&told["failed"])
}

/// It was tried three times, of which the second told the service, and once more when asked to.
fn recovered(failed: &Value) -> Result<()> {
    let alert = failed["alert"].as_str().context("no alert")?;
    assert!(alert.contains("does not hand it out"), "{alert}");
    assert_eq!(failed["hidden"], true, "the alert is over");
    let requests = failed["requests"].as_array().context("none")?;
    let asked = requests.iter().filter_map(|it| it["url"].as_str());
    let opened = asked.filter(|url| url.contains("/play/call"));
    // The page itself is the first.
    let opened: Vec<_> = opened.map(|url| url.contains("again=true")).collect();
    assert_eq!(opened, [false, false, false, true, false, false]);
    Ok(())
}
