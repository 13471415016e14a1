//! The table: every attempt, of both clouds, at both moments; then the page.

use anyhow::Result;

use super::attempts::{ATTEMPTS, NAMES};
use super::connecting::{Of, Process, is_refusal, strict};
use super::landing::Landing;
use super::page::{self, Line};
use super::set_up::{CommandLine, refusal};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Listeners on every loopback address at one port, so that no attempt could go unheard.
async fn landings() -> Result<Vec<Landing>> {
    loop {
        let first = Landing::at("127.0.0.1", 0, HELLO).await?;
        let mut all = Vec::new();
        for other in ["127.0.0.2", "::1"] {
            all.extend(Landing::at(other, first.port, HELLO).await);
        }
        if !all.is_empty() {
            all.insert(0, first);
            return Ok(all);
        }
    }
}

#[tokio::test]
async fn every_attempt_is_refused_at_set_up_and_at_every_connect() -> Result<()> {
    let landings = landings().await?;
    let port = landings.first().map_or(0, |landing| landing.port);
    let Some(command_line) = CommandLine::new().await? else {
        return Ok(());
    };
    let mut process = Process::new(strict());
    for (name, addresses) in NAMES {
        process.names.set(name, &[addresses]);
    }
    let mut lines = Vec::new();
    for attempt in ATTEMPTS {
        let endpoint = attempt.at(port);
        for of in [Of::S3, Of::Azure] {
            let set_up = refusal(&command_line.set(of, &endpoint).await?);
            let destination = process.destination(of, &endpoint);
            let mut connects = Vec::new();
            // Twice: a refusal is nothing that a second attempt gets around.
            for _ in 0..2 {
                let (written, looked) = process.attempt(&destination).await;
                for fault in [&written, &looked] {
                    assert!(is_refusal(fault), "{endpoint} of {of:?}: {fault:?}");
                }
                connects.push(format!("`{}`: {}", written.reason.as_str(), written.detail));
            }
            connects.dedup();
            assert_eq!(connects.len(), 1, "{connects:?}");
            lines.push(Line {
                attempt,
                of,
                set_up,
                connect: connects.concat(),
            });
        }
    }
    for landing in &landings {
        assert_eq!(landing.visits(), 0, "somebody came to us");
    }
    page::compare(&lines)
}
