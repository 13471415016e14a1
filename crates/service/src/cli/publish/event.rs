//! The event that a file becomes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use recording::{Delivery, Outgoing, Route};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::PublishArgs;
use super::plan::Planned;
use super::source::Reader;
use crate::failure::Failure;

const ROUTING_KEY: &str = "recording.completed.v1";

/// `recording.completed` for a planned file. What we would not believe ourselves is not sent.
pub(super) async fn completed(
    planned: &Planned,
    args: &PublishArgs,
    reader: &Reader,
) -> Result<Outgoing> {
    let sha256 = match reader.sha256(planned).await? {
        Some((digest, size_bytes)) => {
            ensure!(
                size_bytes == planned.size_bytes,
                "{} is still being written",
                planned.path
            );
            Some(digest)
        }
        None => None,
    };
    let body = event(planned, args, sha256.as_deref())?;
    let delivery = Delivery {
        body: body.clone().into(),
        ..Delivery::default()
    };
    recording::parse(&delivery).map_err(|refusal| {
        Failure::usage(format!("{}: {}", planned.path, refusal.detail))
            .hint("our own reader would refuse the event; nothing was announced for this file")
    })?;
    Ok(Outgoing {
        route: Route::Topic(ROUTING_KEY),
        message_id: message_id(planned, args),
        body,
        headers: Vec::new(),
    })
}

/// Stable over repetitions, like everything else in the event.
fn message_id(planned: &Planned, args: &PublishArgs) -> String {
    format!("{}/{}", args.account, planned.id)
}

fn event(planned: &Planned, args: &PublishArgs, sha256: Option<&str>) -> Result<Vec<u8>> {
    let completed_at = planned.completed_at;
    let started_at = match args.duration_ms {
        None => completed_at,
        Some(duration_ms) => i64::try_from(duration_ms)
            .ok()
            .and_then(TimeDelta::try_milliseconds)
            .and_then(|duration| completed_at.checked_sub_signed(duration))
            .ok_or_else(|| {
                Failure::usage("--duration-ms is too long")
                    .hint("a length in milliseconds, as in 120000 for two minutes")
            })?,
    };
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let media_type = args.media_type.as_deref();
    let mut data = json!({
        "recording_id": planned.id,
        "account_id": args.account,
        "interaction_id": planned.id,
        "kind": args.kind,
        "media_type": media_type.unwrap_or_else(|| media_type_of(&planned.file)),
        "started_at": time(started_at),
        "completed_at": time(completed_at),
        "original": { "path": planned.path, "size_bytes": planned.size_bytes },
    });
    let optional = [
        ("/duration_ms", args.duration_ms.map(|ms| json!(ms))),
        ("/original/sha256", sha256.map(|digest| json!(digest))),
    ];
    for (place, value) in optional {
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        let object = data.pointer_mut(parent).and_then(|v| v.as_object_mut());
        if let (Some(object), Some(value)) = (object, value) {
            object.insert(name.to_owned(), value);
        }
    }
    let event = json!({
        "specversion": "1.0",
        "id": message_id(planned, args),
        "source": "urn:callferry:publish",
        "type": "callferry.recording.completed.v1",
        "subject": planned.id,
        "time": time(completed_at),
        "datacontenttype": "application/json",
        "data": data,
    });
    serde_json::to_vec(&event).context("writing an event")
}

fn media_type_of(file: &Path) -> &'static str {
    let end = file.extension().and_then(|end| end.to_str());
    match end.unwrap_or_default().to_ascii_lowercase().as_str() {
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "aac" => "audio/aac",
        "amr" => "audio/amr",
        "gsm" => "audio/gsm",
        "g722" => "audio/g722",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        _ => "application/octet-stream",
    }
}

/// SHA-256 in hexadecimal digits, and the bytes that were read.
pub(super) fn sha256(file: &Path) -> Result<(String, u64)> {
    let shown = || format!("reading {}", file.display());
    let mut reader = File::open(file).with_context(shown)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0_u64;
    loop {
        let read = reader.read(&mut buffer).with_context(shown)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok((hex::encode(hasher.finalize()), total));
        };
        hasher.update(bytes);
        total = total.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::Incoming;

    fn planned(file: &Path) -> Planned {
        let account = "acme".parse().unwrap();
        Planned {
            id: "rec-1".parse().unwrap(),
            path: recording::StagingPath::new(&account, "acme/rec-1.wav").unwrap(),
            file: file.to_owned(),
            size_bytes: 3,
            completed_at: "2026-11-22T10:00:00.123456Z".parse().unwrap(),
        }
    }

    fn args(sha256: bool, duration_ms: Option<u64>) -> PublishArgs {
        PublishArgs {
            account: "acme".parse().unwrap(),
            kind: recording::Kind::Voicemail,
            media_type: None,
            duration_ms,
            sha256,
            paths: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_same_file_gives_the_same_event_which_our_own_reader_believes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rec-1.wav");
        std::fs::write(&file, "abc").unwrap();
        let planned = planned(&file);
        let first = completed(&planned, &args(true, Some(60_000)), &Reader::Folder)
            .await
            .unwrap();
        let again = completed(&planned, &args(true, Some(60_000)), &Reader::Folder)
            .await
            .unwrap();
        assert_eq!(first, again);
        let body = first.body.into();
        let read = recording::parse(&Delivery {
            body,
            ..Delivery::default()
        });
        let Ok(Incoming::Completed(announced, _)) = read else {
            panic!("{read:?}");
        };
        assert_eq!(announced.media_type, "audio/wav");
        assert_eq!(announced.completed_at, planned.completed_at);
        let minute = TimeDelta::try_seconds(60).unwrap();
        assert_eq!(announced.started_at, planned.completed_at - minute);
        let digest = announced.original.sha256.unwrap().to_string();
        assert!(digest.starts_with("ba7816bf"), "{digest}");
    }

    #[tokio::test]
    async fn a_file_that_grows_while_it_is_read_is_not_announced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rec-1.wav");
        std::fs::write(&file, "abcd").unwrap();
        let error = completed(&planned(&file), &args(true, None), &Reader::Folder).await;
        assert!(error.unwrap_err().to_string().contains("still"));
    }
}
