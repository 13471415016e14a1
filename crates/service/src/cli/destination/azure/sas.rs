//! What can be known of a shared access signature without asking Azure: whether it is one, of a
//! whole container, for how long, and whether it can do what callferry needs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use url::form_urlencoded;

use crate::failure::Failure;
use crate::output::harmless;

/// What a SAS must allow, for people.
const NEEDS: &str = "a SAS of the container that may read, create and write: sp=rcw, over https, \
                     until a time of its own (se), as in \
                     `az storage container generate-sas --permissions rcw --expiry … --https-only`";

fn refuse(why: impl Into<String>) -> anyhow::Error {
    let why = why.into();
    Failure::usage(format!("the SAS {why}")).hint(NEEDS).into()
}

fn fields(token: &str) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
    form_urlencoded::parse(token.as_bytes()).collect()
}

/// Checks a SAS and returns it without a question mark before it.
pub(super) fn check(text: &str, now: DateTime<Utc>) -> Result<&str> {
    if text.contains("://") {
        let why = "is a whole URL";
        let failure = Failure::usage(format!("the SAS {why}"));
        return Err(failure.hint("only what follows the question mark").into());
    }
    let token = text.strip_prefix('?').unwrap_or(text);
    let fields = fields(token);
    let get = |name: &str| fields.get(name).map(AsRef::as_ref).unwrap_or_default();
    for (name, what) in [("sig", "signature"), ("sv", "version")] {
        if get(name).is_empty() {
            return Err(refuse(format!("lacks its {what} ({name})")));
        }
    }
    if !get("si").is_empty() && (get("se").is_empty() || get("sp").is_empty()) {
        return Err(refuse(
            "leaves its end and powers to a stored access policy, which cannot be seen from here",
        ));
    }
    match expiry(token) {
        None => return Err(refuse("does not say when it ends (se)")),
        Some(end) if end <= now => {
            return Err(refuse(format!("ended at {}", end.to_rfc3339())));
        }
        Some(_) => {}
    }
    let powers = get("sp");
    for (letters, what) in [
        (&['r'][..], "read (r)"),
        (&['c', 'w'], "create or write (c, w)"),
    ] {
        if !powers.contains(letters) {
            return Err(refuse(format!("may not {what}: sp={}", harmless(powers))));
        }
    }
    of_a_container(&get)?;
    Ok(token)
}

/// A service SAS says what it is of; an account SAS, for which services and kinds of thing.
fn of_a_container<'a>(get: &impl Fn(&str) -> &'a str) -> Result<()> {
    match (get("sr"), get("ss"), get("srt")) {
        ("c", "", "") => Ok(()),
        ("", services, kinds) if services.contains('b') && kinds.contains('o') => Ok(()),
        ("", "", _) => Err(refuse("does not say what it is of (sr=c)")),
        ("", _, _) => Err(refuse("is not of blobs (ss=b) and their contents (srt=o)")),
        (of, _, _) => Err(refuse(format!(
            "is not of a container: sr={}",
            harmless(of)
        ))),
    }
}

/// When a SAS ends; Azure takes a date, minutes or seconds, always in UTC.
pub(crate) fn expiry(token: &str) -> Option<DateTime<Utc>> {
    let fields = fields(token.strip_prefix('?').unwrap_or(token));
    let text = fields.get("se")?.as_ref();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ") {
        return Some(time.and_utc());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

/// Whether it may end copies whose retention has ended: delete, and list what is left.
pub(crate) fn may_expire(token: &str) -> bool {
    let fields = fields(token);
    let powers = fields.get("sp");
    powers.is_some_and(|powers| powers.contains('d') && powers.contains('l'))
}
