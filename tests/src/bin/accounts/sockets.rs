//! The TCP connections of a process, by whom they go to, from the kernel's own tables.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use callferry_tests::platform::Platform;

/// The state of an established connection in the kernel's table.
const ESTABLISHED: &str = "01";

/// The ports of the servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbours {
    store: u16,
    sts: u16,
    broker: u16,
    database: u16,
}

fn port(address: &str) -> Result<u16> {
    let (_, port) = address
        .rsplit_once(':')
        .context("an address without a port")?;
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .with_context(|| format!("the port of {address}"))
}

impl Neighbours {
    /// The servers of a platform, with STS at a port of its own.
    pub(crate) fn of(platform: &Platform, sts: u16) -> Result<Self> {
        let broker = platform.rabbit.amqp_url();
        Ok(Self {
            store: platform.lab.address().port(),
            sts,
            broker: port(&broker)?,
            database: port(&platform.postgres.address()?)?,
        })
    }
}

/// How many connections there are to each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) store: usize,
    pub(crate) sts: usize,
    pub(crate) broker: usize,
    pub(crate) database: usize,
}

impl Sockets {
    /// The established ones of a process.
    pub(crate) fn of(pid: u32, neighbours: &Neighbours) -> Result<Self> {
        let mut own = BTreeSet::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            // One that was closed meanwhile is none.
            let target = entry
                .ok()
                .and_then(|entry| fs::read_link(entry.path()).ok());
            let target = target.unwrap_or_default();
            let name = target.to_string_lossy();
            let inode = name
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            own.extend(inode.map(str::to_owned));
        }
        let mut found = Self::default();
        for line in fs::read_to_string(format!("/proc/{pid}/net/tcp"))?
            .lines()
            .skip(1)
        {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, remote, state, ..] = fields.as_slice() else {
                continue;
            };
            let inode = fields.get(9).copied().unwrap_or_default();
            if *state != ESTABLISHED || !own.contains(inode) {
                continue;
            }
            let port = remote.rsplit_once(':').map_or("", |(_, port)| port);
            let port = u16::from_str_radix(port, 16).context("a port in the kernel's table")?;
            let slots = [
                (neighbours.store, &mut found.store),
                (neighbours.sts, &mut found.sts),
                (neighbours.broker, &mut found.broker),
                (neighbours.database, &mut found.database),
            ];
            for (of, slot) in slots {
                *slot += usize::from(of == port);
            }
        }
        Ok(found)
    }

    /// The most of each.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            store: self.store.max(other.store),
            sts: self.sts.max(other.sts),
            broker: self.broker.max(other.broker),
            database: self.database.max(other.database),
        }
    }
}
