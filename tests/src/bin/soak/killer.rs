//! The transfer processes, and who kills them.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::fleet::{Fleet, Member};

use crate::Args;

/// What was killed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kills {
    /// Processes killed.
    pub(crate) killed: u32,
    /// Those that held a lease: their own `/metrics` counted a transfer in flight, which begins
    /// with the claim, and the kill followed at once.
    pub(crate) hits: u32,
}

/// The transfer processes.
pub(crate) struct Killer {
    members: Vec<Member>,
    every: Option<Duration>,
    turn: usize,
}

impl Killer {
    pub(crate) async fn start(fleet: &Fleet, args: &Args) -> Result<Self> {
        let mut members = Vec::new();
        for number in 0..args.transfers {
            members.push(
                fleet
                    .start_ready(&format!("transfer-{number}"), &["transfer"])
                    .await?,
            );
        }
        Ok(Self {
            members,
            every: args.kill_every_s.map(Duration::from_secs_f64),
            turn: 0,
        })
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn every(&self) -> Duration {
        self.every.unwrap_or(Duration::from_secs(86_400))
    }

    /// Kills the next process and starts another in its place.
    pub(crate) async fn kill_one(&mut self, fleet: &Fleet, kills: &mut Kills) -> Result<()> {
        let count = self.members.len();
        let Some(member) = self.members.get_mut(self.turn % count.max(1)) else {
            return Ok(());
        };
        let in_flight = member
            .metric("callferry_transfers_in_flight", "")
            .await
            .unwrap_or(0.0);
        member.sigkill()?;
        self.turn += 1;
        kills.killed += 1;
        if in_flight >= 1.0 {
            kills.hits += 1;
        }
        *member = fleet.start(&format!("transfer-{}", 100 + self.turn), &["transfer"])?;
        Ok(())
    }

    pub(crate) async fn stop(&mut self, limit: Duration) -> Result<()> {
        for member in &mut self.members {
            member.stop(limit).await?;
        }
        Ok(())
    }
}
