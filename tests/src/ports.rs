//! Free loopback ports that stay ours.
//!
//! Asking the kernel for port 0 and closing it again leaves a gap in which another test process,
//! or any outgoing connection, can take the port. So ports are taken from below the range of
//! outgoing connections, and each is held by a file lock for as long as this process lives.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// First port tried.
const FIRST: u16 = 20_000;
/// How many there are; all below 32768, where the kernel's ephemeral ports begin.
const COUNT: u16 = 12_000;

/// The locks this process holds, released by its end.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Takes a port on 127.0.0.1 that nobody listens on and no other test process will be given.
///
/// # Errors
/// When the lock directory cannot be used or every port is taken.
pub fn free_port() -> Result<u16> {
    // One for each user: nobody can open another's locks.
    let uid = rustix::process::getuid().as_raw();
    let directory = std::env::temp_dir().join(format!("callferry-ports-{uid}"));
    fs::create_dir_all(&directory).context("making the directory of port locks")?;
    let offset: u16 = rand::random_range(0..COUNT);
    for step in 0..COUNT {
        let port = FIRST + (offset + step) % COUNT;
        let path = directory.join(port.to_string());
        // Another user's lock file: leave that port to them.
        let Ok(lock) = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
        else {
            continue;
        };
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if locked && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(lock);
            return Ok(port);
        }
    }
    bail!(
        "no free loopback port between {FIRST} and {}",
        FIRST + COUNT
    );
}
