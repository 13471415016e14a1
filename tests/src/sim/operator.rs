//! The person at the command line: every now and then recordings that are not stored yet are given
//! another revision, by the real code over this process's side of the ports.

use std::sync::Arc;
use std::time::Duration;

use recording::{Clock, RecordingKey, RerouteLedger, State};
use roles::{Reroute, ReroutePorts, RerouteWish, Rerouted};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::bucket::{LeftoverPort, LookPort};
use super::ledger::{LedgerPort, Row};
use super::side::{Side, SimClock};

/// Acts until `stop` fires; once it is calm, there is nobody who would.
pub(crate) async fn operate(side: Side, stop: CancellationToken) {
    let clock: Arc<dyn Clock> = Arc::<SimClock>::clone(&side.clock);
    let ledger: Arc<dyn RerouteLedger> = Arc::new(LedgerPort(side.clone()));
    let ports = ReroutePorts {
        ledger,
        lookers: Arc::new(LookPort(side.clone())),
        leftovers: Arc::new(LeftoverPort(side.clone())),
        clock,
    };
    let quiet = side.sim.world().mix.reroute_quiet;
    let reroute = Reroute::new(ports, quiet);
    loop {
        let wait = {
            let mut world = side.sim.world();
            let most = world.mix.weather;
            Duration::from_secs(1) + world.dice.up_to(most)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
        let Some((key, wish)) = chosen(&side) else {
            continue;
        };
        // An unknown outcome is asked for again some other time.
        if let Ok(done) = reroute.one(&key, &wish).await {
            let mut world = side.sim.world();
            let what = match done {
                Rerouted::Moved(_) => "moved",
                Rerouted::WouldMove(_) => "would move",
                Rerouted::CopyFound(_) => "copy found",
                Rerouted::Refused(why) => why.as_str(),
            };
            world.truth.count(format!("reroute {what}"));
            world.say(format_args!("  reroute of {key}: {what}"));
        }
    }
}

/// A recording, mostly one that may be moved, and mostly to what is in force.
fn chosen(side: &Side) -> Option<(RecordingKey, RerouteWish)> {
    let mut world = side.sim.world();
    if world.calm || world.over {
        return None;
    }
    let any = world.dice.below(8) == 0;
    let ledger = &world.ledger;
    let elsewhere = |row: &Row| {
        let account = &row.announced.key.account_id;
        row.destination.is_some() && row.destination != ledger.covering(account)
    };
    let rows = ledger.rows.iter();
    let keys: Vec<RecordingKey> = rows
        .filter(|(_, row)| {
            let open = matches!(row.state, State::Staged | State::Parked);
            any || (open && elsewhere(row))
        })
        .map(|(key, _)| key.clone())
        .collect();
    let count = u64::try_from(keys.len()).unwrap_or(0);
    if count == 0 {
        return None;
    }
    let index = usize::try_from(world.dice.below(count)).unwrap_or(0);
    let key = keys.into_iter().nth(index)?;
    let owned = world.ledger.accounts.get(&key.account_id);
    let mut revisions = owned
        .map(|owned| owned.revisions.clone())
        .unwrap_or_default();
    revisions.extend(world.ledger.default.clone());
    let to = if world.dice.below(3) == 0 {
        revisions
            .first()
            .copied()
            .map(|first| world.dice.pick(&revisions, first))
    } else {
        None
    };
    let wish = RerouteWish {
        to,
        unproven: None,
        dry_run: world.dice.below(10) == 0,
    };
    Some((key, wish))
}
