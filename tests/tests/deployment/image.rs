//! The image, as far as a machine without a container engine can show it: that the build is given
//! what it needs and nothing else, and that the last stage is enough for the binary.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::fleet::{Fleet, Member};
use callferry_tests::load::{self, Load};
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::Identity;
use callferry_tests::scratch::{self, Scratch};
use tokio::process::Command;

use super::production::LONG;
use super::tools::{find, must, text};

/// The user of the image's last stage.
const USER: &str = "65532";
/// Our own identity at the laboratory's clouds.
const OURS: (&str, &str) = ("AKIDCONTAINED", "laboratory-only-not-a-secret");
/// What glibc and libgcc bring, and with them the base of the last stage.
const LIBRARIES: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux",
];

/// What the build may see, by the list of what is not ignored.
fn allowed() -> Result<Vec<String>> {
    let list = text("container/Containerfile.dockerignore")?;
    let lines = list.lines().filter_map(|line| line.strip_prefix('!'));
    Ok(lines.map(str::to_owned).collect())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().context("no folder")?)?;
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Every Rust file beneath a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[tokio::test]
async fn the_build_is_given_what_a_locked_build_needs_and_nothing_else() -> Result<()> {
    let scratch = Scratch::new("image-context")?;
    let allowed = allowed()?;
    for path in &allowed {
        copy(
            &environment::repository().join(path),
            &scratch.path().join(path),
        )?;
    }
    // Whatever the recipe copies is allowed, and the other way round.
    let recipe = text("container/Containerfile")?;
    let copied = recipe.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied = copied.filter(|line| !line.starts_with("--from"));
    let copied: BTreeSet<&str> = copied
        .flat_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    assert_eq!(copied, allowed.iter().map(String::as_str).collect());
    // As the recipe does; then the workspace is whole, and its lock file is the right one.
    fs::create_dir_all(scratch.path().join("tests/src"))?;
    fs::write(scratch.path().join("tests/src/lib.rs"), "")?;
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--locked", "--offline", "--format-version=1"]);
    cargo
        .arg("--manifest-path")
        .arg(scratch.path().join("Cargo.toml"));
    must(&mut cargo).await?;
    // What files the code takes in at compile time.
    for file in rust_files(&scratch.path().join("crates"))? {
        let code = fs::read_to_string(&file)?;
        for included in code.split("include_str!(\"").skip(1) {
            let path = included.split('"').next().unwrap_or_default();
            let path = file.parent().context("no folder")?.join(path);
            assert!(
                path.is_file(),
                "{} takes in {}",
                file.display(),
                path.display()
            );
        }
    }
    let schemas = fs::read_dir(scratch.path().join("schemas/postgres"))?;
    assert!(schemas.count() >= 3, "the migrations");
    Ok(())
}

#[test]
fn the_last_stage_has_no_shell_runs_as_a_number_and_asks_nobody_about_its_health() -> Result<()> {
    let recipe = text("container/Containerfile")?;
    let (build, last) = recipe.rsplit_once("\nFROM ").context("one stage")?;
    assert!(build.contains("cargo build --release --locked"));
    assert!(last.starts_with("${BASE}"), "{last}");
    let base = build
        .lines()
        .find_map(|line| line.strip_prefix("ARG BASE="));
    assert_eq!(base, Some("gcr.io/distroless/cc-debian12:nonroot"));
    assert!(
        !last.contains("\nRUN "),
        "there is no shell to run anything"
    );
    assert!(last.contains(&format!("\nUSER {USER}:{USER}\n")));
    assert!(last.contains("ENTRYPOINT [\"/usr/local/bin/callferry\"]"));
    let instructions = recipe.lines().map(str::trim_start);
    let health = instructions.filter(|line| line.starts_with("HEALTHCHECK"));
    assert_eq!(health.count(), 0);
    Ok(())
}

/// The last stage as a folder: the binary, what it is linked with, certificates, one user.
async fn last_stage(binary: &Path, root: &Path) -> Result<()> {
    copy(binary, &root.join("usr/local/bin/callferry"))?;
    let linked = must(Command::new("ldd").arg(binary)).await?;
    for library in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let name = library.rsplit('/').next().unwrap_or_default();
        let known = LIBRARIES.iter().any(|known| name.starts_with(known));
        assert!(known, "the base of the image has no {name}");
        copy(
            Path::new(library),
            &root.join(library.trim_start_matches('/')),
        )?;
    }
    let certificates = "etc/ssl/certs/ca-certificates.crt";
    copy(&Path::new("/").join(certificates), &root.join(certificates))?;
    fs::write(
        root.join("etc/passwd"),
        format!("nonroot:x:{USER}:{USER}::/:/none\n"),
    )?;
    for folder in ["proc", "dev", "staging"] {
        fs::create_dir_all(root.join(folder))?;
    }
    Ok(())
}

/// Starts the binary as an engine would: in a root of its own that cannot be written to, staging
/// mounted for reading only, as nobody, with no way to become somebody.
const ENGINE: &str = r#"#!/bin/sh
exec unshare --mount --propagation private sh -euc '
root=$1 staging=$2; shift 2
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$staging" "$root/staging"
mount -o remount,bind,ro "$root/staging"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" \
  /usr/local/bin/callferry "$@"
' engine "ROOT" "STAGING" "$@"
"#;

fn engine(scratch: &Scratch, staging: &Path, root: &Path) -> Result<PathBuf> {
    let path = scratch.path().join("engine.sh");
    let text = ENGINE
        .replace("ROOT", &root.display().to_string())
        .replace("STAGING", &staging.display().to_string());
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// What the kernel says of a contained process.
fn contained(member: &Member) -> Result<()> {
    let pid = member.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let users = [USER; 4].join(" ");
    assert_eq!(field("Uid:").as_deref(), Some(users.as_str()));
    assert_eq!(field("Groups:").as_deref(), Some(""));
    assert_eq!(field("CapEff:").as_deref(), Some("0000000000000000"));
    assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
    // By its own root, as it sees it: even we, who are root, cannot write there.
    for place in ["", "usr/local/bin/", "staging/"] {
        let attempt = fs::write(format!("/proc/{pid}/root/{place}attempt"), "x");
        let kind = attempt.map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::ReadOnlyFilesystem), "{place}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_stage_is_enough_for_the_main_job_and_cannot_be_written_to() -> Result<()> {
    let what = "the image's last stage";
    if !rustix::process::geteuid().is_root() {
        return scratch::skip(what, "only root can mount here");
    }
    for program in ["unshare", "chroot", "ldd"] {
        if find(program, what)?.is_none() {
            return Ok(());
        }
    }
    let scratch = Scratch::new("image-stage")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    let root = scratch.folder("root")?;
    last_stage(platform.fleet.binary(), &root).await?;
    let engine = engine(&scratch, &platform.staging, &root)?;
    let ours = Identity::new(OURS.0, OURS.1).named("callferry");
    platform.lab.put_identity(ours);
    let inside = Fleet::of(&engine, &scratch.folder("inside")?)
        .with("CALLFERRY_AMQP_URL", platform.rabbit.amqp_url())
        .with("CALLFERRY_DATABASE_URL", platform.postgres.url("callferry"))
        .with("CALLFERRY_STAGING_URL", "file:///staging")
        .with("CALLFERRY_STS_ENDPOINT", platform.lab.endpoint())
        .with("CALLFERRY_ALLOW_HTTP", "true")
        .with("CALLFERRY_ALLOWED_PRIVATE_RANGES", "127.0.0.0/8")
        .with("AWS_ACCESS_KEY_ID", OURS.0)
        .with("AWS_SECRET_ACCESS_KEY", OURS.1)
        .with("AWS_REGION", REGION);

    let version = inside.must(&["--version"]).await?;
    assert!(version.stdout.starts_with("callferry "), "{version:?}");
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 3,
        size_bytes: 100_000,
        seed: 1,
    };
    let produce = load.stage(&platform)?;
    let mut members = Vec::new();
    for role in ["transfer", "housekeeping"] {
        let member = inside.start_ready(role, &[role]).await?;
        contained(&member)?;
        members.push(member);
    }
    load.publish(&platform).await?;
    // Cleanup outside: staging is not to be written to in there.
    members.push(platform.fleet.start_ready("cleanup", &["cleanup"]).await?);
    load::until_released(&platform, 3, LONG).await?;
    for member in &mut members {
        member.stop(LONG).await?;
    }
    let differences = load::differences(&platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
