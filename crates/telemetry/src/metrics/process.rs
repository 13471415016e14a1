//! The process itself: which version it is, and what the kernel says of it.

use prometheus::process_collector::ProcessCollector;

use super::family::{Builder, Family, Kind};

/// The version of this build; all crates of the workspace share it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the library's collector reports; its help is in the scrape.
const OF_THE_KERNEL: [(Family, Kind); 7] = [
    (
        Family::new(
            "process_cpu_seconds_total",
            "seconds",
            "Processor time, user and system, in whole seconds.",
        ),
        Kind::Counter,
    ),
    (
        Family::new("process_open_fds", "descriptors", "Open file descriptors."),
        Kind::Gauge,
    ),
    (
        Family::new(
            "process_max_fds",
            "descriptors",
            "File descriptors that may be open.",
        ),
        Kind::Gauge,
    ),
    (
        Family::new("process_virtual_memory_bytes", "bytes", "Virtual memory."),
        Kind::Gauge,
    ),
    (
        Family::new("process_resident_memory_bytes", "bytes", "Resident memory."),
        Kind::Gauge,
    ),
    (
        Family::new(
            "process_start_time_seconds",
            "seconds since 1970",
            "When the process began.",
        ),
        Kind::Gauge,
    ),
    (
        Family::new("process_threads", "threads", "Threads of the process."),
        Kind::Gauge,
    ),
];

/// Registers them.
pub(crate) fn register(build: &mut Builder) -> prometheus::Result<()> {
    build.part("Every process");
    let from = build.declared.len();
    let info = build.open_gauge(
        "version",
        "the version of the build",
        Family::new("build_info", "always 1", "Which version runs."),
    );
    build.collect(from, move || {
        vec![info.filled(std::iter::once((VERSION, 1.0)))]
    })?;
    for (family, kind) in OF_THE_KERNEL {
        build.declare::<()>(family, kind);
    }
    build
        .registry
        .register(Box::new(ProcessCollector::for_self()))
}
