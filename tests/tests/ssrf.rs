//! Endpoints that reach for what is not theirs (`RELIABILITY.md` B46): each attempt is refused when
//! a destination is set and again at every connect, of either cloud. `SSRF.md` beside this crate is
//! what was seen, written by these tests.

#[cfg(test)]
#[path = "ssrf/attempts.rs"]
mod attempts;
#[cfg(test)]
#[path = "ssrf/connecting.rs"]
mod connecting;
#[cfg(test)]
#[path = "ssrf/landing.rs"]
mod landing;
#[cfg(test)]
#[path = "ssrf/page.rs"]
mod page;
#[cfg(test)]
#[path = "ssrf/rebinding.rs"]
mod rebinding;
#[cfg(test)]
#[path = "ssrf/set_up.rs"]
mod set_up;
#[cfg(test)]
#[path = "storage/setting.rs"]
#[expect(dead_code, reason = "the tests of S3 use the rest of it")]
mod staged;
#[cfg(test)]
#[path = "ssrf/table.rs"]
mod table;
