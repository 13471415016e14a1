//! The tests' harness: real servers, a proxy that misbehaves on command, the real binary as a
//! fleet of processes. `README.md` beside this crate says how the pieces are used.

pub mod auditor;
pub mod child;
pub mod ending;
pub mod entra;
pub mod environment;
pub mod fleet;
pub mod fuzz;
pub mod issuer;
pub mod listening;
pub mod load;
pub mod page;
pub mod patience;
pub mod platform;
pub mod ports;
pub mod proxy;
pub mod remembered;
pub mod s3;
pub mod scratch;
pub mod servers;
pub mod sim;
pub mod tool;
pub mod usage;
