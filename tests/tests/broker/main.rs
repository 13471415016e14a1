//! Conformance of the crate `broker` with a real RabbitMQ: what is confirmed is there, what is
//! delivered is settled as its handler said, and neither changes when the broker misbehaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

mod consuming;
mod lab;
mod outages;
mod publishing;
mod topology;
