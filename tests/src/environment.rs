//! The one file of this crate that reads the environment, so that what a test run can be told is
//! one short list: which servers to use instead of starting some, and which binary to run.

use std::ffi::OsString;
use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "a test run is steered by its environment; this function is the only reader"
)]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn read_text(name: &str) -> Option<String> {
    read(name)?.into_string().ok()
}

/// `CALLFERRY_AMQP_URL`: a broker to use instead of a private one.
#[must_use]
pub fn amqp_url() -> Option<String> {
    read_text("CALLFERRY_AMQP_URL")
}

/// `CALLFERRY_MANAGEMENT_URL`: the management API of that broker, with user and password. Without
/// it the AMQP URL's host and credentials on port 15672 are assumed.
#[must_use]
pub fn management_url() -> Option<String> {
    read_text("CALLFERRY_MANAGEMENT_URL")
}

/// `CALLFERRY_DATABASE_URL`: a PostgreSQL server to use instead of a private one. Its user must be
/// allowed to create databases.
#[must_use]
pub fn database_url() -> Option<String> {
    read_text("CALLFERRY_DATABASE_URL")
}

/// `CALLFERRY_BINARY`: the `callferry` executable to test, instead of the one beside this program.
#[must_use]
pub fn binary() -> Option<PathBuf> {
    read("CALLFERRY_BINARY").map(PathBuf::from)
}

/// `SEEDS`: how many seeds of the simulation a test run tries, instead of the few it has time for.
#[must_use]
pub fn seeds() -> Option<u64> {
    read_text("SEEDS")?.parse().ok()
}

/// `PATH`, for children that otherwise start with an empty environment.
#[must_use]
pub fn path() -> OsString {
    read("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
}

/// The repository's root, as it was when this crate was built.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or(manifest.clone(), PathBuf::from)
}

/// `.local`, where everything that is not in version control goes.
#[must_use]
pub fn local() -> PathBuf {
    repository().join(".local")
}
