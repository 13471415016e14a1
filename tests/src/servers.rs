//! Real servers, private to one run: on free loopback ports, with all their state in one
//! directory, gone when their handle is dropped. No system instance is ever touched.

pub mod alertmanager;
pub mod azurite;
pub mod moto;
pub mod postgres;
pub mod prometheus;
pub mod rabbit;

pub use alertmanager::Alertmanager;
pub use azurite::Azurite;
pub use moto::Moto;
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use rabbit::Rabbit;
