//! Very many requests to listen, over many accounts that have recordings of the same ids: each is
//! answered as its token says, and no URL is ever another account's.

use anyhow::Result;
use callferry_tests::listening::{asking, stage::Stage};
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;

/// `target/release/playback` asks a million times.
const REQUESTS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_requests_at_random_play_nothing_of_another_account() -> Result<()> {
    let scratch = Scratch::new("http-listening")?;
    let platform = Platform::start(scratch.path()).await?;
    let mut stage = Stage::set(platform, 5, 4, scratch.path()).await?;
    let tally = asking::ask(&stage, REQUESTS, 8, 0x5EED).await?;
    let of = |what: &str| tally.get(what).copied().unwrap_or(0);
    assert_eq!(tally.values().sum::<u64>(), REQUESTS);
    for what in [
        "played",
        "refused: 400",
        "refused: 401",
        "refused: 403",
        "refused: 404",
    ] {
        assert!(of(what) > REQUESTS / 100, "{tally:?}");
    }
    // Everything that was given out, and all that somebody known was refused, is in the log.
    let count = "select count(*) filter (where refused is null), count(*) filter \
                 (where refused in ('not_found', 'foreign')) from accesses";
    let counted = stage.platform.postgres.sql("callferry", count).await?;
    let expected = format!("{}|{}", of("played"), of("refused: 404"));
    assert_eq!(counted.trim(), expected);
    let log = stage.member.log_text()?;
    assert!(
        !log.contains("Signature") && !log.contains("panicked"),
        "{log}"
    );
    assert!(stage.member.runs()?, "it is still there");
    Ok(())
}
