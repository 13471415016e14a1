//! Live progress: staged → stored → released, as the ledger says.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use callferry_tests::platform::Platform;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const PAUSE: Duration = Duration::from_millis(200);

struct Bars {
    known: ProgressBar,
    stored: ProgressBar,
    released: ProgressBar,
    live: bool,
}

impl Bars {
    fn new(total: u64) -> Result<Self> {
        let live = std::io::stderr().is_terminal();
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("  {prefix:>10} {bar:40} {pos:>5}/{len}")?;
        let bar = |prefix: &'static str| {
            let bar = all.add(ProgressBar::new(total)).with_style(style.clone());
            bar.with_prefix(prefix)
        };
        let bars = Self {
            known: bar("staged"),
            stored: bar("stored"),
            released: bar("released"),
            live,
        };
        Ok(bars)
    }

    fn show(&self, known: u64, stored: u64, released: u64) {
        self.known.set_position(known);
        self.stored.set_position(stored);
        self.released.set_position(released);
        if !self.live {
            let line = format!("  staged {known:>5}  stored {stored:>5}  released {released:>5}");
            crate::report::line(&line);
        }
    }
}

/// Follows until all good recordings and the reused one are released.
pub(crate) async fn follow(platform: &Platform, staged: usize, limit: Duration) -> Result<()> {
    // The reused id's first content is good as well.
    let total = u64::try_from(staged)? + 1;
    let bars = Bars::new(total)?;
    let began = Instant::now();
    let mut last = (0, 0, 0);
    loop {
        let status = platform.json(&["status"]).await?;
        let recordings = status.get("recordings");
        let count = |state: &str| {
            let n = recordings.and_then(|states| states.get(state)?.as_u64());
            n.unwrap_or(0)
        };
        let released = count("released");
        let stored = released + count("stored");
        let known = stored + count("staged");
        if (known, stored, released) != last {
            last = (known, stored, released);
            bars.show(known, stored, released);
        }
        if released >= total {
            for bar in [&bars.known, &bars.stored, &bars.released] {
                bar.finish();
            }
            return Ok(());
        }
        if began.elapsed() > limit {
            bail!("only {released} of {total} were released in time: {status}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
