//! Real servers, private to one run: on free loopback ports, with all their state in one
//! directory, gone when their handle is dropped. No system instance is ever touched.

pub mod moto;
pub mod postgres;
pub mod rabbit;

pub use moto::Moto;
pub use postgres::Postgres;
pub use rabbit::Rabbit;
