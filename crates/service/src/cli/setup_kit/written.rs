//! The kit as files, and as the command's answer.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::super::Context;
use super::{Made, SetupKitArgs};
use crate::failure::Failure;
use crate::kit::Kit;

/// What the steps are called as a file beside the others.
const STEPS: &str = "STEPS.txt";

/// Writes each document to a folder, which is made. Nothing that is there is overwritten unless
/// `force` says so, and nothing is written where anything is there.
pub(super) fn files(kit: &Kit, folder: &Path, force: bool) -> Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("making {shown}"))?;
    let documents = kit.documents.iter();
    let documents = documents.map(|document| (document.name, document.text.clone()));
    let all: Vec<_> = documents.chain([(STEPS, steps(kit))]).collect();
    if !force && let Some((name, _)) = all.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(Failure::failed(format!("{shown}/{name} is there already"))
            .hint("nothing was written: name another folder with --out, or add --force")
            .into());
    }
    for (name, text) in all {
        write(&folder.join(name), &text, force)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let is_script = path.extension().is_some_and(|end| end == "sh");
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(if is_script { 0o755 } else { 0o644 });
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}

fn steps(kit: &Kit) -> String {
    let numbered = kit.steps.iter().enumerate();
    let numbered = numbered.map(|(index, step)| {
        let number = index.saturating_add(1);
        format!("{number}. {}\n", step.replace('\n', "\n   "))
    });
    numbered.collect()
}

/// Answers with all of the kit, or with where it was written.
pub(super) fn answer(args: &SetupKitArgs, made: &Made, context: &Context) -> Result<()> {
    let Made {
        kit,
        principals,
        external_id,
        role_arn,
    } = made;
    let documents = kit.documents.iter();
    let documents = documents.map(|one| (one.name.to_owned(), json!(one.text)));
    let documents: Map<String, Value> = documents.collect();
    let answer = json!({
        "owner": args.owner.0.to_string(),
        "format": args.format.as_str(),
        "external_id": external_id,
        "role_arn": role_arn,
        "principals": principals.as_ref().map(|it| &it.arns),
        "principals_from": principals.as_ref().map(|it| it.from),
        "folder": args.out,
        "documents": documents,
        "steps": kit.steps,
        "next": kit.next,
        "notes": kit.notes,
    });
    context
        .output
        .answer(&answer, |_| readable(kit, args.out.as_deref()))
}

fn readable(kit: &Kit, folder: Option<&Path>) -> String {
    let mut text = String::new();
    for document in &kit.documents {
        match folder {
            Some(folder) => {
                let path = folder.join(document.name);
                text.push_str(&format!("{}: {}\n", path.display(), document.what));
            }
            None => text.push_str(&format!(
                "==== {}: {}\n{}\n",
                document.name, document.what, document.text
            )),
        }
    }
    let title = if folder.is_some() { "\n" } else { "==== " };
    text.push_str(&format!(
        "{title}The customer's administrator:\n{}",
        steps(kit)
    ));
    for note in &kit.notes {
        text.push_str(&format!("\nNote: {note}\n"));
    }
    text.push_str(&format!("\nThen here:\n{}\n", kit.next.join("\n")));
    text
}
