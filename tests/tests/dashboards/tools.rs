//! Other people's tools judge our files: promtool the rules, Grafana's own types the dashboard.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use callferry_tests::child::Launch;
use callferry_tests::environment::repository;
use callferry_tests::scratch::{Scratch, skip};
use callferry_tests::servers::prometheus::is_installed;

use super::board;

const LIMIT: Duration = Duration::from_secs(120);

/// Runs a program of the machine's and demands that it is content.
async fn content(program: &str, args: &[&str]) -> Result<()> {
    let scratch = Scratch::new("tools")?;
    let (output, log) = (scratch.path().join("output"), scratch.path().join("log"));
    let mut running = Launch::new(program, program, &log)
        .args(args)
        .start_with_output(&output)?;
    let status = running.wait(LIMIT).await?;
    let said = std::fs::read_to_string(&output)? + &running.log_text()?;
    assert!(status.success(), "{program} {args:?}: {said}");
    Ok(())
}

async fn promtool(args: &[&str]) -> Result<()> {
    if !is_installed("promtool") {
        return skip(
            "promtool",
            "not installed; deploy/local/install.sh prometheus gets it",
        );
    }
    content("promtool", args).await
}

fn shipped(path: &str) -> String {
    repository()
        .join("deploy/prometheus")
        .join(path)
        .display()
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_example_configuration_and_the_rules() -> Result<()> {
    promtool(&["check", "config", &shipped("prometheus.yml")]).await?;
    promtool(&["check", "rules", &shipped("rules/callferry.rules.yml")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_sees_each_alert_fire_and_end_with_the_times_in_force() -> Result<()> {
    promtool(&["test", "rules", &shipped("callferry.rules.test.yml")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_fits_the_types_of_grafanas_own_schema() -> Result<()> {
    let tool = repository().join("tests/tools/grafana/types");
    if !is_installed("node") || !tool.join("node_modules/typescript").exists() {
        let how = "deploy/local/install.sh dashboard-types gets what is missing";
        return skip("types of the dashboard", how);
    }
    check_types(&tool, &board::path()).await
}

async fn check_types(tool: &Path, dashboard: &Path) -> Result<()> {
    let program = tool.join("typecheck.mjs").display().to_string();
    content("node", &[&program, &dashboard.display().to_string()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_types_finds_what_does_not_fit() -> Result<()> {
    let tool = repository().join("tests/tools/grafana/types");
    if !is_installed("node") || !tool.join("node_modules/typescript").exists() {
        let how = "deploy/local/install.sh dashboard-types gets what is missing";
        return skip("the check of types itself", how);
    }
    let scratch = Scratch::new("types")?;
    let mut wrong = board::dashboard()?;
    wrong["panels"][0]["options"]["graphMode"] = "nonsense".into();
    let file = scratch.path().join("wrong.json");
    std::fs::write(&file, wrong.to_string())?;
    let program = tool.join("typecheck.mjs").display().to_string();
    let log = scratch.path().join("log");
    let launch = Launch::new("node", "node", &log).args([&program, &file.display().to_string()]);
    let mut running = launch.start_with_output(&scratch.path().join("output"))?;
    assert!(!running.wait(LIMIT).await?.success());
    assert!(
        running.log_text()?.contains("nonsense"),
        "{}",
        running.log_text()?
    );
    Ok(())
}
