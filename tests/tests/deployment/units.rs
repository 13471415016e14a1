//! The units of systemd, installed into a root of their own and judged by systemd.

use std::path::Path;

use anyhow::Result;
use callferry_tests::scratch::Scratch;
use tokio::process::Command;

use super::tools::{deploy, find, must, run, text};

const UNITS: [&str; 5] = [
    "callferry@transfer.service",
    "callferry@cleanup.service",
    "callferry@housekeeping.service",
    "callferry@playback.service",
    "callferry-setup.service",
];
/// systemd's exposure level times ten: below 2 is what it calls "OK" at its best.
const EXPOSURE: u32 = 20;

/// Installs everything beneath `root`, with what a machine has anyway.
async fn install(scratch: &Scratch, root: &Path) -> Result<()> {
    let secrets = scratch.path().join("secrets");
    must(Command::new(deploy("compose/secrets.sh")).arg(&secrets)).await?;
    let mut install = Command::new(deploy("systemd/install.sh"));
    install.arg(&secrets).arg(root);
    must(install.env("CALLFERRY_BINARY", "/bin/true")).await?;
    let system = root.join("usr/lib/systemd/system");
    std::fs::create_dir_all(&system)?;
    for target in [
        "network-online",
        "sysinit",
        "basic",
        "multi-user",
        "shutdown",
    ] {
        let target = format!("{target}.target");
        std::fs::write(
            system.join(&target),
            format!("[Unit]\nDescription={target}\n"),
        )?;
    }
    std::fs::create_dir_all(root.join("usr/bin"))?;
    std::fs::copy("/bin/true", root.join("usr/bin/psql"))?;
    Ok(())
}

#[tokio::test]
async fn the_units_are_understood_and_leave_little_exposed() -> Result<()> {
    let what = "systemd units";
    let Some(systemd) = find("systemd-analyze", what)? else {
        return Ok(());
    };
    let scratch = Scratch::new("units")?;
    let root = scratch.path().join("root");
    install(&scratch, &root).await?;
    let root = format!("--root={}", root.display());
    let mut verify = Command::new(&systemd);
    verify.args(["verify", "--man=no", &root]).args(UNITS);
    let said = run(verify.arg("callferry.target")).await?;
    assert!(said.fine && said.all.trim().is_empty(), "{}", said.all);
    for unit in UNITS {
        let threshold = format!("--threshold={EXPOSURE}");
        let mut security = Command::new(&systemd);
        security.args(["security", "--offline=true", &root, &threshold, unit]);
        let said = run(&mut security).await?;
        assert!(said.fine, "{unit}: {}", said.all);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_installed_is_closed_to_others_and_complete() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("units-files")?;
    let root = scratch.path().join("root");
    install(&scratch, &root).await?;
    let unit = text("systemd/callferry@.service")?;
    let setup = text("systemd/callferry-setup.service")?;
    let playback = text("systemd/callferry@playback.service.d/role.conf")?;
    let loaded = unit.lines().chain(setup.lines()).chain(playback.lines());
    let loaded = loaded.filter_map(|line| line.strip_prefix("LoadCredential="));
    for credential in loaded {
        let (_, path) = credential.split_once(':').unwrap_or_default();
        for role in ["transfer", "cleanup", "housekeeping", "playback"] {
            let path = path.trim_start_matches('/').replace("%i", role);
            let meta = std::fs::metadata(root.join(&path))?;
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{path}");
        }
    }
    let folder = std::fs::metadata(root.join("etc/callferry"))?;
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    Ok(())
}

#[tokio::test]
async fn no_process_is_told_to_read_what_is_roots_alone() -> Result<()> {
    for file in [
        "systemd/callferry.env",
        "systemd/callferry@.service",
        "systemd/callferry-setup.service",
        "systemd/callferry@playback.service.d/role.conf",
    ] {
        let told = text(file)?;
        let settings = told.lines().map(|line| line.trim_start_matches("# "));
        let settings = settings.map(|line| line.strip_prefix("Environment=").unwrap_or(line));
        let variables = settings.filter(|line| {
            line.starts_with("CALLFERRY_") || line.starts_with("AWS_") || line.starts_with("PG")
        });
        for variable in variables {
            assert!(!variable.contains("/etc/callferry"), "{file}: {variable}");
        }
    }
    // What is installed a second time takes nothing that was filled in, and what is filled goes in.
    let scratch = Scratch::new("units-again")?;
    let root = scratch.path().join("root");
    install(&scratch, &root).await?;
    let installed = |name: &str| std::fs::read_to_string(root.join("etc/callferry").join(name));
    assert_eq!(installed("cleanup.aws-credentials")?, "");
    let here = root.join("etc/callferry/cleanup.aws-credentials");
    std::fs::write(here, "[default] # by hand")?;
    let secrets = scratch.path().join("secrets");
    std::fs::write(
        secrets.join("transfer.aws-credentials"),
        "[default] # its own",
    )?;
    install(&scratch, &root).await?;
    assert_eq!(installed("cleanup.aws-credentials")?, "[default] # by hand");
    std::fs::write(secrets.join("aws-credentials"), "[default] # everybody's")?;
    install(&scratch, &root).await?;
    assert_eq!(
        installed("transfer.aws-credentials")?,
        "[default] # its own"
    );
    assert_eq!(
        installed("playback.aws-credentials")?,
        "[default] # everybody's"
    );
    // Secrets of an earlier release lack a file: that is said, and nothing is changed.
    std::fs::remove_file(secrets.join("playback.toml"))?;
    let mut again = Command::new(deploy("systemd/install.sh"));
    again.arg(&secrets).arg(scratch.path().join("elsewhere"));
    let said = run(again.env("CALLFERRY_BINARY", "/bin/true")).await?;
    assert!(
        !said.fine && said.all.contains("secrets.sh again"),
        "{}",
        said.all
    );
    assert!(!scratch.path().join("elsewhere").exists());
    Ok(())
}

#[test]
fn only_cleanup_may_write_to_staging_and_housekeeping_and_playback_do_not_see_it() -> Result<()> {
    let drop_in = |role: &str| text(&format!("systemd/callferry@{role}.service.d/role.conf"));
    let (transfer, cleanup) = (drop_in("transfer")?, drop_in("cleanup")?);
    let (housekeeping, playback) = (drop_in("housekeeping")?, drop_in("playback")?);
    let staging = "/srv/recordings";
    assert!(transfer.contains(&format!("ReadOnlyPaths={staging}")));
    assert!(!transfer.contains("ReadWritePaths"));
    assert!(cleanup.contains(&format!("ReadWritePaths={staging}")));
    for unseeing in [&housekeeping, &playback] {
        assert!(unseeing.contains(&format!("InaccessiblePaths=-{staging}")));
    }
    assert!(text("systemd/callferry.env")?.contains(&format!("file://{staging}")));
    for (role, drop_in) in [
        ("transfer", transfer),
        ("cleanup", cleanup),
        ("housekeeping", housekeeping),
        ("playback", playback),
    ] {
        assert!(
            drop_in.contains(&format!("User=callferry-{role}\n")),
            "{role}"
        );
    }
    Ok(())
}
