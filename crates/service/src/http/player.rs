//! The player page: one document without anything from elsewhere, the same for everybody. Whoever
//! opens it shows a token, which is posted; what the browser's player is given instead is a cookie
//! that only the one playback address gets to see.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use recording::RecordingId;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::token::bearer;

/// The document.
const PAGE: &str = include_str!("player.html");
/// The cookie's name.
pub(super) const COOKIE: &str = "callferry_play";
/// How long a browser keeps the cookie, in seconds; the token in it may end sooner.
const COOKIE_S: u32 = 3600;
/// What browsers take as a cookie, with its name and what is said about it.
const COOKIE_BYTES_MAX: usize = 4000;

/// The document and what a browser may do with it.
pub(super) struct Page {
    /// The document.
    pub(super) html: &'static str,
    /// Its content security policy.
    pub(super) policy: HeaderValue,
}

/// Its own script and style, by their digests; requests to us; media from https. Customers'
/// buckets are anywhere, so their hosts are not listed; media cannot run.
pub(super) static SECURE: LazyLock<Page> = LazyLock::new(|| Page::new("'self' https:"));
/// The same where buckets are reached by plain http: in laboratories.
pub(super) static PLAIN: LazyLock<Page> = LazyLock::new(|| Page::new("'self' https: http:"));

impl Page {
    fn new(media: &str) -> Self {
        let digest = |open: &str, close: &str| {
            let (_, rest) = PAGE.split_once(open).unwrap_or_default();
            let (inner, _) = rest.split_once(close).unwrap_or_default();
            format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(inner)))
        };
        let (style, script) = (
            digest("<style>", "</style>"),
            digest("<script>", "</script>"),
        );
        let policy = format!(
            "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; \
             media-src {media}; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        // Words, digests and punctuation.
        let nothing = || HeaderValue::from_static("default-src 'none'");
        Self {
            html: PAGE,
            policy: HeaderValue::from_str(&policy).unwrap_or_else(|_| nothing()),
        }
    }
}

/// The cookie for one recording, from the token that came with the request. No script reads it, no
/// other site's page sends it, and nothing but this recording's playback gets it.
pub(super) fn cookie(headers: &HeaderMap, recording: &RecordingId) -> Result<HeaderValue, Problem> {
    let token = bearer(headers).map_err(|_| Problem::unauthenticated())?;
    let text = format!(
        "{COOKIE}={token}; Path=/v1/recordings/{recording}/playback; Max-Age={COOKIE_S}; \
         Secure; HttpOnly; SameSite=Strict"
    );
    let too_long = || {
        Problem::impossible("the token is too long for a browser to keep")
            .hint("ask the issuer for one of at most 3.5 KiB, or ask for playback with the token")
    };
    if text.len() > COOKIE_BYTES_MAX {
        return Err(too_long());
    }
    let mut cookie = HeaderValue::from_str(&text).map_err(|_| too_long())?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_and_one_script_and_nothing_from_elsewhere() {
        for tag in ["<style>", "</style>", "<script>", "</script>"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}");
        }
        for word in [
            "<script ", "<style ", "<iframe", "http://", "@import", "style=",
        ] {
            assert!(!PAGE.contains(word), "{word}");
        }
        assert!(!PAGE.contains("https://"), "something comes from elsewhere");
        let policy = SECURE.policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http:"),
            "{policy}"
        );
    }
}
