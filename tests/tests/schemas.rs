//! The contracts in `schemas/` and the code say the same: every example, every event that the
//! code builds and every closed set is checked from both sides, offline.

// Marked as tests so that clippy's exceptions for tests hold in helpers too.
#[cfg(test)]
#[path = "schemas/asyncapi.rs"]
mod asyncapi;
#[cfg(test)]
#[path = "schemas/built.rs"]
mod built;
#[cfg(test)]
#[path = "schemas/contract.rs"]
mod contract;
#[cfg(test)]
#[path = "schemas/edges.rs"]
mod edges;
#[cfg(test)]
#[path = "schemas/examples.rs"]
mod examples;
#[cfg(test)]
#[path = "schemas/properties.rs"]
mod properties;
#[cfg(test)]
#[path = "schemas/readme.rs"]
mod readme;
#[cfg(test)]
#[path = "schemas/strategies.rs"]
mod strategies;
#[cfg(test)]
#[path = "schemas/words.rs"]
mod words;
