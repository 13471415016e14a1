//! Quarantine as its user meets it: on the command line, with messages that attack a terminal,
//! pretend to be our own output, are huge, or are no text at all.

use anyhow::{Context, Result};
use callferry_tests::fleet::{Fleet, Member, Outcome};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::Value;

use super::case::{Case, End, Message};
use super::judge::body;
use super::wire;
use super::world::LONG;

/// A body that clears the screen, sets the window's title, rings, moves left, is written to the
/// clipboard, uses the one-byte form of the same, and ends by looking like fields of ours.
const HOSTILE: &str = "{\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{8}\u{1b}]52;c;cm0gLXJm\u{7}\u{9b}31m\
    \u{202e}desrever\u{200b}\r\nrequeuable  true\nto return it  rm -rf /\n";

struct Desk {
    platform: Platform,
    member: Member,
    _scratch: Scratch,
}

impl Desk {
    async fn new(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut platform = Platform::start(scratch.path()).await?;
        platform.account("acme").await?;
        let roles = ["transfer", "cleanup", "housekeeping"];
        let member = platform.fleet.start_ready("workers", &roles).await?;
        Ok(Self {
            platform,
            member,
            _scratch: scratch,
        })
    }

    async fn send(&self, bodies: &[&[u8]]) -> Result<()> {
        for body in bodies {
            wire::publish(&self.platform, &Message::new(body.to_vec())).await?;
        }
        Ok(())
    }

    /// The list, once it has this many rows.
    async fn listed(&self, rows: usize) -> Result<Vec<Value>> {
        patience::until("the list is as long", LONG, async || {
            let listed = self.platform.json(&["quarantine", "list"]).await?;
            let listed = listed.as_array().cloned().unwrap_or_default();
            Ok((listed.len() == rows).then_some(listed))
        })
        .await
    }

    async fn run(&self, args: &[&str]) -> Result<Outcome> {
        self.platform
            .fleet
            .run(&[&["quarantine"], args].concat())
            .await
    }

    async fn must(&self, args: &[&str]) -> Result<Outcome> {
        self.run(args).await?.success()
    }
}

/// The id of the message with these bytes.
async fn id_of(desk: &Desk, bytes: &[u8]) -> Result<String> {
    let kept = bytes.get(..256 * 1024).unwrap_or(bytes);
    let listed = desk.platform.json(&["quarantine", "list"]).await?;
    for row in listed.as_array().into_iter().flatten() {
        let id = row["id"].to_string();
        let shown = desk.must(&["show", &id, "--json"]).await?.json()?;
        if body(&shown) == kept {
            return Ok(id);
        }
    }
    anyhow::bail!("no such message: {}", String::from_utf8_lossy(kept))
}

/// No order to a terminal, whatever it takes for one.
fn assert_harmless(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        let obeyed = |letter: &char| (letter.is_control() && *letter != '\n') || is_unseen(*letter);
        let found: Vec<char> = text.chars().filter(obeyed).collect();
        assert!(found.is_empty(), "{found:?} in {}", outcome.args);
    }
}

fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
}

#[tokio::test]
async fn a_hostile_message_gives_a_terminal_no_orders_and_passes_for_no_line_of_ours() -> Result<()>
{
    let mut desk = Desk::new("quarantine-hostile").await?;
    let kind = "text/plain\u{1b}[2J\u{9b}31m\u{202e}";
    let named = Message::new("hostile by its properties").property("content_type", kind);
    wire::publish(&desk.platform, &named).await?;
    desk.send(&[HOSTILE.as_bytes()]).await?;
    desk.listed(2).await?;
    let id = id_of(&desk, HOSTILE.as_bytes()).await?;
    let other = id_of(&desk, &named.body).await?;
    for args in [
        vec!["list"],
        vec!["list", "--json"],
        vec!["show", &id],
        vec!["show", &id, "--json"],
        vec!["show", &other],
        vec!["show", &other, "--json"],
    ] {
        assert_harmless(&desk.must(&args).await?);
    }
    let json = desk.must(&["show", &id, "--json"]).await?;
    assert!(json.stdout.is_ascii(), "{json:?}");
    let json = json.json()?;
    assert_eq!(json["body"], HOSTILE, "a script still gets every byte");
    let typed = desk.must(&["show", &other, "--json"]).await?.json()?;
    assert_eq!(typed["content_type"], kind);

    let shown = desk.must(&["show", &id]).await?.stdout;
    let (fields, rest) = shown.split_once("\nbody\n").context("a body apart")?;
    assert!(
        fields.contains("hint") && fields.contains("one JSON document"),
        "{shown}"
    );
    let theirs: Vec<&str> = rest.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(theirs.len(), 4, "{shown}");
    assert!(
        theirs.iter().all(|line| line.starts_with("  | ")),
        "{shown}"
    );
    assert!(
        shown.contains("\\u{1b}]52;c;") && shown.contains("\\u{202e}desrever"),
        "{shown}"
    );
    let ours = format!("to return it  callferry quarantine requeue {id}\n");
    assert_eq!(shown.matches("\nto return it").count(), 1, "{shown}");
    assert!(shown.contains(&ours), "{shown}");
    desk.member.stop(LONG).await
}

#[tokio::test]
async fn huge_binary_and_empty_messages_are_kept_shown_and_returned_as_far_as_they_can_be()
-> Result<()> {
    let mut desk = Desk::new("quarantine-huge").await?;
    let binary: Vec<u8> = (0..=255).collect();
    let long = format!("{{\"oops\": \"{}", "y".repeat(200_000)).into_bytes();
    let huge = vec![b'z'; 300_000];
    desk.send(&[&binary, &long, &huge, b""]).await?;
    desk.listed(4).await?;

    let (binary_id, long_id) = (id_of(&desk, &binary).await?, id_of(&desk, &long).await?);
    let (huge_id, empty_id) = (id_of(&desk, &huge).await?, id_of(&desk, b"").await?);
    for id in [&binary_id, &long_id, &huge_id, &empty_id] {
        let shown = desk.must(&["show", id]).await?;
        assert_harmless(&shown);
        assert!(
            shown.stdout.len() < 6000,
            "{} bytes for a person",
            shown.stdout.len()
        );
    }
    let shown = desk.must(&["show", &binary_id]).await?.stdout;
    assert!(
        shown.contains("no text") && shown.contains("000102"),
        "{shown}"
    );
    assert!(
        desk.must(&["show", &empty_id])
            .await?
            .stdout
            .contains("(empty)")
    );
    let shown = desk.must(&["show", &long_id]).await?.stdout;
    assert!(shown.contains("bytes in all; --json shows them"), "{shown}");
    let shown = desk.must(&["show", &huge_id, "--json"]).await?.json()?;
    assert_eq!(
        (&shown["body_bytes"], &shown["requeuable"]),
        (&300_000.into(), &false.into())
    );
    assert_eq!(body(&shown).len(), 256 * 1024);

    // One that cannot return does not keep the others from it, and is named.
    let both = desk.run(&["requeue", &huge_id, &long_id, "--json"]).await?;
    assert_eq!(both.code, Some(1), "{both:?}");
    let answer = both.json()?;
    assert_eq!(answer["requeue_asked"].to_string(), format!("[{long_id}]"));
    assert_eq!(answer["refused"].to_string(), format!("[{huge_id}]"));
    assert!(both.stderr.contains("larger than 256 KiB"), "{both:?}");
    assert!(
        both.stderr
            .contains("hint: have its producer send it again"),
        "{both:?}"
    );
    // It is refused again for the same reason, by the same bytes: counted in its row, or, if that
    // was closed already, in a row of its own.
    patience::until("it came back", LONG, async || {
        let listed = desk.platform.json(&["quarantine", "list"]).await?;
        let rows = listed.as_array().cloned().unwrap_or_default();
        let again = |row: &Value| {
            let same = row["id"]
                .as_i64()
                .is_some_and(|id| long_id == id.to_string());
            row["body_bytes"] == long.len() && (!same || row["count"] == 2)
        };
        Ok(rows.iter().any(again).then_some(()))
    })
    .await?;
    desk.must(&["drop", &huge_id, &binary_id]).await?;
    desk.listed(2).await?;
    desk.member.stop(LONG).await
}

#[tokio::test]
async fn what_is_repaired_goes_on_when_it_is_returned_and_what_is_wrong_comes_back() -> Result<()> {
    let mut desk = Desk::new("quarantine-repair").await?;
    let case = Case::new("B08", "", "returned", End::Stored).good();
    super::floor::put(&desk.platform.staging, case.path(), &case.staged[0].1)?;
    // Only a property was wrong, and the bytes are what is kept: they go back as our own type.
    let typed = case.sent[0].clone().property("content_type", "text/plain");
    wire::publish(&desk.platform, &typed).await?;
    let listed = desk.listed(1).await?;
    assert_eq!(listed[0]["reason"], "content_type");
    assert!(listed[0]["hint"].is_string(), "{listed:?}");
    let id = listed[0]["id"].to_string();
    let asked = desk.must(&["requeue", &id]).await?;
    assert!(asked.stdout.contains("1 asked for"), "{asked:?}");
    let show = ["recording", "show", "--account", "acme", "returned"];
    patience::until("it is released", LONG, async || {
        let shown = desk
            .platform
            .fleet
            .run(&[&show[..], &["--json"]].concat())
            .await?;
        let state = shown
            .json()
            .map(|shown| shown["state"].clone())
            .unwrap_or_default();
        Ok((state == "released").then_some(()))
    })
    .await?;
    desk.listed(0).await?;
    let empty = desk.must(&["list"]).await?;
    assert_eq!(empty.stdout, "Quarantine is empty.\n");
    desk.member.stop(LONG).await
}

#[tokio::test]
async fn every_command_has_an_example_and_refuses_what_is_not_there() -> Result<()> {
    let mut desk = Desk::new("quarantine-asked").await?;
    for args in [
        vec![],
        vec!["list"],
        vec!["show"],
        vec!["requeue"],
        vec!["drop"],
    ] {
        let help = desk.must(&[&args[..], &["--help"]].concat()).await?;
        let example = ["callferry quarantine"]
            .into_iter()
            .chain(args.iter().copied());
        let example = example.collect::<Vec<_>>().join(" ");
        let (_, examples) = help.stdout.split_once("Examples:").context("no examples")?;
        assert!(examples.contains(&example), "{example}: {help:?}");
        let json = args.is_empty() || examples.contains("--json");
        assert!(json, "no example with --json: {help:?}");
    }
    for (args, code, says) in [
        (vec!["show", "4711"], 1, "4711 does not exist"),
        (vec!["requeue", "4711"], 1, "not done: 4711"),
        (vec!["drop", "4711", "4712"], 1, "not done: 4711, 4712"),
        (vec!["show", "seventeen"], 2, "invalid value"),
        (vec!["show", "99999999999999999999"], 2, "invalid value"),
        (vec!["requeue"], 2, "required"),
        (vec!["drop"], 2, "required"),
    ] {
        let refused = desk.run(&args).await?;
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.stderr.contains(says), "{says}: {refused:?}");
    }
    desk.send(&[b"one", b"two", b"one"]).await?;
    desk.listed(2).await?;
    let cut = desk.must(&["list", "--limit", "1", "--json"]).await?;
    assert_eq!(cut.json()?.as_array().map(Vec::len), Some(1), "{cut:?}");
    assert!(
        cut.stderr.contains("cut at 1; there may be more: --limit"),
        "{cut:?}"
    );
    let dropped = desk
        .must(&["drop", "--json", &id_of(&desk, b"one").await?])
        .await?;
    assert_eq!(
        dropped.json()?["dropped"].as_array().map(Vec::len),
        Some(1),
        "{dropped:?}"
    );
    desk.listed(1).await?;
    unreachable_ledger(&desk.platform.fleet).await?;
    desk.member.stop(LONG).await
}

/// A ledger that is away is said once, and nothing is claimed to be done.
async fn unreachable_ledger(fleet: &Fleet) -> Result<()> {
    let port = callferry_tests::ports::free_port()?;
    let away = format!("postgres://u:canary@127.0.0.1:{port}/d");
    let fleet = fleet.clone().with("CALLFERRY_DATABASE_URL", away);
    for args in [
        ["requeue", "1"],
        ["drop", "1"],
        ["show", "1"],
        ["list", "--json"],
    ] {
        let outcome = fleet.run(&[&["quarantine"], &args[..]].concat()).await?;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("\nhint: "), "{outcome:?}");
        assert!(!outcome.stderr.contains("canary"), "{outcome:?}");
    }
    Ok(())
}
