//! What the fleet used of the machine.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::fleet::{Member, Readings};

/// The latest readings of every process that was ever seen, by pid.
#[derive(Debug, Default)]
pub struct Usage {
    seen: BTreeMap<u32, (String, Readings, u64)>,
}

impl Usage {
    /// Reads every process that runs.
    pub fn observe<'a>(&mut self, members: impl IntoIterator<Item = &'a Member>) {
        for member in members {
            // A process that was just killed has no readings.
            let Ok(readings) = Readings::of(member.pid()) else {
                continue;
            };
            let role = member
                .name()
                .split('-')
                .next()
                .unwrap_or_default()
                .to_owned();
            let peak = self.seen.get(&member.pid()).map_or(0, |(_, _, peak)| *peak);
            let peak = peak.max(readings.anonymous_bytes);
            self.seen.insert(member.pid(), (role, readings, peak));
        }
    }

    /// The most anonymous memory that any process of a role ever had, in bytes.
    #[must_use]
    pub fn peak_anonymous(&self, role: &str) -> u64 {
        let of_role = self.seen.values().filter(|(name, _, _)| name == role);
        of_role.map(|(_, _, peak)| *peak).max().unwrap_or(0)
    }

    /// Prints a row for each role: processor time per recording, files per second, memory.
    pub fn print(&self, recordings: usize, took: Duration) {
        let mut roles: BTreeMap<&str, (u32, Duration, u64)> = BTreeMap::new();
        for (role, readings, peak) in self.seen.values() {
            let row = roles.entry(role).or_default();
            *row = (row.0 + 1, row.1 + readings.cpu, row.2.max(*peak));
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([
            "role",
            "processes",
            "CPU ms / recording",
            "peak anonymous MiB",
        ]);
        let files = f64::from(u32::try_from(recordings).unwrap_or(u32::MAX));
        for (role, (processes, cpu, peak)) in roles {
            let per_file = cpu.as_secs_f64() * 1000.0 / files;
            let mebibytes = peak / (1 << 20);
            table.add_row([
                role.to_owned(),
                processes.to_string(),
                format!("{per_file:.2}"),
                mebibytes.to_string(),
            ]);
        }
        println!("{table}");
        println!(
            "{:.0} files/s from the first claim to the last release",
            files / took.as_secs_f64()
        );
    }
}
