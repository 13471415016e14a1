//! Listening as many do: accounts with recordings of the same ids, tokens of every kind, requests
//! without number, and an oracle that knows for each what must be answered.

pub mod asking;
pub mod stage;
pub mod wire;
