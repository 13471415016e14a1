//! Whose tokens are believed: issuer, audience, and where the issuer's public keys are.

use std::path::PathBuf;

use anyhow::Result;
use url::Url;

use super::{Config, missing};
use crate::failure::Failure;

/// What `jwt_keys` looks like.
const KEYS: &str = "CALLFERRY_JWT_KEYS is a file with public keys (PEM, or a JWKS), or the https \
                    address of a JWKS, as in https://login.example.com/.well-known/jwks.json";

/// Whose tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// What `iss` must be.
    pub(crate) issuer: String,
    /// What `aud` must name.
    pub(crate) audience: String,
    /// Where the issuer's public keys are.
    pub(crate) keys: KeysAt,
}

/// Where public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeysAt {
    /// In a file.
    File(PathBuf),
    /// At an address that publishes them.
    Address(String),
}

impl Config {
    /// Whose tokens are believed; `None` where nothing of it is configured.
    pub(crate) fn tokens(&self) -> Result<Option<Tokens>> {
        let given = [&self.jwt_issuer, &self.jwt_audience, &self.jwt_keys];
        if given.iter().all(|given| given.is_none()) {
            return Ok(None);
        }
        let text = |key: &str, given: &Option<String>| {
            let given = given.as_deref().map(str::trim);
            let given = given.filter(|given| !given.is_empty());
            given.map(str::to_owned).ok_or_else(|| missing(key))
        };
        Ok(Some(Tokens {
            issuer: text("jwt_issuer", &self.jwt_issuer)?,
            audience: text("jwt_audience", &self.jwt_audience)?,
            keys: self.keys_at(&text("jwt_keys", &self.jwt_keys)?)?,
        }))
    }

    /// The same where it must be there.
    pub(crate) fn expected_tokens(&self) -> Result<Tokens> {
        self.tokens()?.ok_or_else(|| {
            Failure::usage("whose tokens are believed is not configured")
                .hint(
                    "the role playback needs CALLFERRY_JWT_ISSUER, CALLFERRY_JWT_AUDIENCE and \
                     CALLFERRY_JWT_KEYS",
                )
                .into()
        })
    }

    fn keys_at(&self, text: &str) -> Result<KeysAt> {
        let refuse = |why: &str| Failure::usage(format!("`jwt_keys` {why}")).hint(KEYS);
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(KeysAt::File(PathBuf::from(text)));
        };
        let url = Url::parse(text).map_err(|_| refuse("is neither a path nor a URL"))?;
        match (scheme, self.allow_http) {
            ("file", _) => {
                let path = url.to_file_path();
                return Ok(KeysAt::File(path.map_err(|()| {
                    refuse("is not the path of a file on this machine")
                })?));
            }
            ("https", _) | ("http", true) => {}
            ("http", false) => {
                let hint = "plain http is for laboratories only: CALLFERRY_ALLOW_HTTP=true";
                return Err(refuse("must be https").hint(hint).into());
            }
            _ => return Err(refuse("must be https").into()),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(refuse("must not carry a user, a password or a fragment").into());
        }
        Ok(KeysAt::Address(url.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(issuer: Option<&str>, audience: Option<&str>, keys: Option<&str>) -> Config {
        Config {
            jwt_issuer: issuer.map(str::to_owned),
            jwt_audience: audience.map(str::to_owned),
            jwt_keys: keys.map(str::to_owned),
            ..Config::default()
        }
    }

    #[test]
    fn all_of_it_is_configured_or_nothing() {
        assert_eq!(config(None, None, None).tokens().unwrap(), None);
        for (issuer, audience, keys, missing) in [
            (None, Some("us"), Some("/keys"), "jwt_issuer"),
            (Some("them"), Some(" "), Some("/keys"), "jwt_audience"),
            (Some("them"), Some("us"), None, "jwt_keys"),
        ] {
            let error = config(issuer, audience, keys).tokens().unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
        let error = config(None, None, None).expected_tokens().unwrap_err();
        let hint = crate::failure::hint(&error).unwrap();
        assert!(hint.contains("CALLFERRY_JWT_KEYS"), "{hint}");
        assert_eq!(crate::failure::exit_code(&error), 2);
    }

    #[test]
    fn keys_are_in_a_file_or_at_an_https_address_that_carries_no_secret() {
        let keys = |text| config(Some("them"), Some("us"), Some(text)).tokens();
        let at = |text| keys(text).unwrap().unwrap().keys;
        let file = KeysAt::File(PathBuf::from("/etc/callferry/jwt.pem"));
        assert_eq!(at("/etc/callferry/jwt.pem"), file);
        assert_eq!(at("file:///etc/callferry/jwt.pem"), file);
        let address = "https://login.example.com/keys?p=policy";
        assert_eq!(at(address), KeysAt::Address(address.to_owned()));
        for bad in [
            "http://login.example.com/keys",
            "ftp://login.example.com/keys",
            "https://u:canary@login.example.com/keys",
            "https://login.example.com/keys#canary",
            "file://elsewhere/keys",
            "https://",
        ] {
            let error = keys(bad).unwrap_err();
            assert!(crate::failure::hint(&error).is_some(), "{bad}");
            assert!(!format!("{error:#}").contains("canary"), "{error:#}");
        }
    }
}
