//! Runbooks: one for each alert, with commands that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use callferry_tests::environment::repository;
use callferry_tests::fleet::Fleet;
use callferry_tests::scratch::Scratch;

use super::rules;

fn pages() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(repository().join("deploy/runbooks"))?;
    let mut pages: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    pages.sort();
    assert!(pages.len() > 5, "the runbooks were not found");
    Ok(pages)
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() -> Result<()> {
    let alerts = rules::values("alert")?;
    let urls = rules::values("runbook_url")?;
    assert_eq!(alerts.len(), urls.len(), "an alert without a runbook");
    assert_eq!(alerts.len(), rules::values("severity")?.len());
    for (alert, url) in alerts.iter().zip(&urls) {
        let page = fs::read_to_string(repository().join(url))?;
        let first = page.lines().next().unwrap_or_default();
        assert!(
            first.contains(alert.as_str()),
            "{url} is not about {alert}: {first}"
        );
        for part in [
            "What it means.",
            "What is safe.",
            "Look first",
            "How it ends.",
        ] {
            assert!(page.contains(part), "{url} does not say: {part}");
        }
    }
    let told: BTreeSet<_> = urls.iter().map(|url| repository().join(url)).collect();
    for page in pages()? {
        assert!(
            told.contains(&page),
            "{} belongs to no alert",
            page.display()
        );
    }
    Ok(())
}

#[test]
fn every_severity_is_a_page_or_a_warning() -> Result<()> {
    for severity in rules::values("severity")? {
        assert!(["page", "warn"].contains(&severity.as_str()), "{severity}");
    }
    Ok(())
}

#[test]
fn links_between_runbooks_lead_somewhere() -> Result<()> {
    for page in pages()? {
        let text = fs::read_to_string(&page)?;
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap_or_default();
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let there = fs::read_to_string(page.with_file_name(file)).is_ok_and(|text| {
                heading.is_empty() || text.lines().any(|line| anchor(line) == heading)
            });
            assert!(there, "{}: {link}", page.display());
        }
    }
    Ok(())
}

/// The commands of ours in a text: in blocks, and in running text between backticks.
fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("callferry "));
    let inline = text
        .split('`')
        .filter(|part| part.starts_with("callferry "));
    lines
        .chain(inline)
        .map(|line| line.trim().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_a_runbook_or_a_panel_names_exists() -> Result<()> {
    let scratch = Scratch::new("runbooks")?;
    let fleet = Fleet::new(scratch.path())?;
    let mut named = BTreeSet::new();
    for page in pages()? {
        named.extend(commands(&fs::read_to_string(page)?));
    }
    named.extend(commands(&super::board::dashboard()?.to_string()));
    named.extend(commands(&rules::text()?));
    assert!(named.len() > 10, "{named:?}");
    for command in named {
        let command = command.split("\\n").next().unwrap_or_default();
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        let is_word = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
        let mut asked: Vec<&str> = words.iter().take_while(is_word).copied().collect();
        asked.push("--help");
        let help = fleet.must(&asked).await?.stdout;
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{command}: there is no {option}");
        }
    }
    Ok(())
}

/// What a heading is linked by.
fn anchor(line: &str) -> String {
    let title = line.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || "- ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
