//! URLs that let whoever has them read one object for a while: what a player is sent to.

use std::fmt;
use std::time::Duration;

use recording::{Fault, Secret};

use crate::exchange::unusable;

/// The longest that either cloud lets a URL live.
pub(crate) const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A URL that reads one object. Whoever has it needs nothing else, so it cannot be printed.
pub struct SignedUrl {
    url: Secret,
    life: Duration,
}

/// What the answer to a signed URL says of itself, in place of what the object says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The answer's `Content-Type`.
    pub content_type: Option<String>,
    /// The answer's `Content-Disposition`, as in `attachment; filename="call.wav"`.
    pub content_disposition: Option<String>,
    /// The answer's `Cache-Control`.
    pub cache_control: Option<String>,
}

impl SignedUrl {
    pub(crate) fn new(url: String, life: Duration) -> Self {
        Self {
            url: Secret::new(url),
            life,
        }
    }

    /// The URL. Whoever asks must put it into nothing but an answer or a request.
    #[must_use]
    pub fn reveal(&self) -> &str {
        // It is made of a known secret only.
        self.url.reveal().unwrap_or_default()
    }

    /// How long it is good from its making on: never longer than what it was signed with.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl(…)")
    }
}

impl Overrides {
    /// They become headers of an answer, and lines of what is signed.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let texts = [
            &self.content_type,
            &self.content_disposition,
            &self.cache_control,
        ];
        let mut texts = texts.into_iter().flatten();
        if texts.any(|text| text.chars().any(char::is_control)) {
            return Err(unusable("the answer's headers cannot be set to this"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_url_is_never_printed_and_overrides_are_one_line_each() {
        let url = SignedUrl::new("https://x.test/k?sig=canary".to_owned(), LIFE_MAX);
        assert_eq!(format!("{url:?}"), "SignedUrl(…)");
        assert!(url.reveal().ends_with("canary"));
        let mut overrides = Overrides::default();
        assert_eq!(overrides.check(), Ok(()));
        overrides.content_type = Some("audio/wav".to_owned());
        assert_eq!(overrides.check(), Ok(()));
        overrides.content_disposition = Some("a\nb".to_owned());
        assert!(overrides.check().is_err());
    }
}
