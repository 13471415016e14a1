//! Endpoints that somebody gives us: an origin, https unless http is allowed, and no address of
//! our own network. Names are judged again by the connector, at every connect, once they resolve.

use std::net::IpAddr;

use anyhow::Result;
use url::{Host, Url};

use crate::config::Ranges;
use crate::failure::Failure;

/// What an endpoint looks like.
const EXAMPLE: &str = "an origin such as https://s3.example.com:9000";
/// What a blob service's URL looks like.
const BLOB_EXAMPLE: &str = "as in https://acmecalls.blob.core.windows.net, without the container; \
                            an emulator has the storage account as its path";

/// The origin, `https://host[:port]`, of a URL that is nothing else; `name` is what people call it.
pub(crate) fn plain_origin(name: &str, url: &Url, allow_http: bool) -> Result<String> {
    let origin = safe_origin(name, url, allow_http)?;
    if matches!(url.path(), "" | "/") {
        return Ok(origin);
    }
    Err(Failure::usage(format!("{name} must not have a path"))
        .hint(EXAMPLE)
        .into())
}

/// The origin of a URL that may have a path, but nothing else that could carry a secret or lead
/// elsewhere.
fn safe_origin(name: &str, url: &Url, allow_http: bool) -> Result<String> {
    let refuse = |why: &str| Failure::usage(format!("{name} {why}"));
    match (url.scheme(), allow_http) {
        ("https", _) | ("http", true) => {}
        ("http", false) => {
            let hint = "plain http is for laboratories only: CALLFERRY_ALLOW_HTTP=true";
            return Err(refuse("must be https").hint(hint).into());
        }
        _ => return Err(refuse("must be https").hint(EXAMPLE).into()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not carry a user or password")
            .hint(EXAMPLE)
            .into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        let failure = refuse("must not have a query or fragment");
        return Err(failure.hint(EXAMPLE).into());
    }
    Ok(url.origin().ascii_serialization())
}

/// What people call a customer's endpoint.
const CUSTOMERS: &str = "the endpoint";

/// Reads a customer's endpoint and returns its origin.
pub(crate) fn customers(text: &str, allow_http: bool, allowed: &Ranges) -> Result<String> {
    let url =
        Url::parse(text).map_err(|_| Failure::usage("the endpoint is not a URL").hint(EXAMPLE))?;
    let origin = plain_origin(CUSTOMERS, &url, allow_http)?;
    reachable(&url, allowed)?;
    Ok(origin)
}

/// Reads the URL of a customer's blob service: an origin, or an emulator's origin with the storage
/// account as its path. `None` is Azure's own, which needs no URL.
pub(crate) fn customers_blob_service(
    text: &str,
    storage_account: &str,
    (allow_http, allowed): (bool, &Ranges),
) -> Result<Option<String>> {
    let url = Url::parse(text)
        .map_err(|_| Failure::usage(format!("{CUSTOMERS} is not a URL")).hint(BLOB_EXAMPLE))?;
    let service = operators_blob_service(CUSTOMERS, &url, storage_account, allow_http)?;
    reachable(&url, allowed)?;
    Ok(service)
}

/// The same of the operator's own blob service, which may be in our own network; `name` is what
/// people call the URL.
pub(crate) fn operators_blob_service(
    name: &str,
    url: &Url,
    storage_account: &str,
    allow_http: bool,
) -> Result<Option<String>> {
    let refuse = |why: &str| Failure::usage(format!("{name} {why}")).hint(BLOB_EXAMPLE);
    let origin = safe_origin(name, url, allow_http)?;
    let in_path = match url.path().trim_end_matches('/') {
        "" => None,
        path => match path.strip_prefix('/') {
            Some(word) if word == storage_account => Some(word),
            _ => return Err(refuse("has a path that is not the storage account").into()),
        },
    };
    if let Some(named) = url.host_str().and_then(azures_account)
        && (named != storage_account || in_path.is_some())
    {
        let why = format!("is another storage account's than `{storage_account}`");
        return Err(refuse(&why).into());
    }
    if origin == format!("https://{storage_account}.{AZURES_OWN}") {
        return Ok(None);
    }
    Ok(Some(in_path.map_or_else(
        || origin.clone(),
        |account| format!("{origin}/{account}"),
    )))
}

/// What follows the storage account in the name of Azure's own blob services.
const AZURES_OWN: &str = "blob.core.windows.net";

/// The storage account in the host name of one of Azure's own blob services; empty where the name
/// lacks it.
fn azures_account(host: &str) -> Option<&str> {
    let account = host.strip_suffix(AZURES_OWN)?;
    if account.is_empty() {
        return Some(account);
    }
    account.strip_suffix('.')
}

/// Refuses an address of our own network, as every connect will once a name has become one.
fn reachable(url: &Url, allowed: &Ranges) -> Result<()> {
    let address = match url.host() {
        None | Some(Host::Domain(_)) => None,
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
    };
    if address.is_some_and(|address| !storage::permits_address(allowed.as_slice(), address)) {
        return Err(
            Failure::usage("the endpoint is a private or reserved address")
                .hint("where that is meant, list its range in CALLFERRY_ALLOWED_PRIVATE_RANGES")
                .into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_over_https_pass_and_are_written_in_one_form() {
        let none = Ranges::default();
        let read = |text| customers(text, false, &none);
        assert_eq!(
            read("https://S3.Example.com").unwrap(),
            "https://s3.example.com"
        );
        assert_eq!(
            read("https://s3.example.com:443/").unwrap(),
            "https://s3.example.com"
        );
        assert_eq!(
            read("https://s3.example.com:9000").unwrap(),
            "https://s3.example.com:9000"
        );
        for bad in [
            "s3.example.com",
            "http://s3.example.com",
            "ftp://s3.example.com",
            "https://user@s3.example.com",
            "https://u:p@s3.example.com",
            "https://s3.example.com/bucket",
            "https://s3.example.com?x",
            "https://s3.example.com#x",
            "https://",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            customers("http://h:1", true, &none).unwrap(),
            "http://h:1".to_owned()
        );
    }

    #[test]
    fn a_blob_service_is_an_origin_or_ends_with_its_storage_account() {
        let allowed: Ranges = serde_json::from_str("[\"127.0.0.0/8\"]").unwrap();
        let read = |text| customers_blob_service(text, "acmecalls", (true, &allowed));
        for own in [
            "https://acmecalls.blob.core.windows.net",
            "https://acmecalls.blob.core.windows.net:443/",
        ] {
            assert_eq!(read(own).unwrap(), None, "{own}");
        }
        for (text, kept) in [
            (
                "https://acmecalls.blob.core.chinacloudapi.cn/",
                "https://acmecalls.blob.core.chinacloudapi.cn",
            ),
            (
                "http://127.0.0.1:10000/acmecalls",
                "http://127.0.0.1:10000/acmecalls",
            ),
            (
                "http://127.0.0.1:10000/acmecalls/",
                "http://127.0.0.1:10000/acmecalls",
            ),
        ] {
            assert_eq!(read(text).unwrap().as_deref(), Some(kept), "{text}");
        }
        for bad in [
            "acmecalls",
            "ftp://acmecalls.blob.core.windows.net",
            "https://other.blob.core.windows.net",
            "https://blob.core.windows.net/acmecalls",
            "https://acmecalls.blob.core.windows.net/acmecalls",
            "https://acmecalls.blob.core.windows.net/calls",
            "https://acmecalls.blob.core.windows.net?sv=1&sig=canary",
            "https://u:canary@acmecalls.blob.core.windows.net",
            "http://10.0.0.1:10000/acmecalls",
            "http://127.0.0.1:10000/other",
            "http://127.0.0.1:10000/acmecalls/calls",
        ] {
            let error = read(bad).unwrap_err();
            assert!(crate::failure::hint(&error).is_some(), "{bad}: {error}");
            assert!(!format!("{error:#}").contains("canary"), "{error:#}");
        }
        let none = Ranges::default();
        let plain = "http://acmecalls.blob.core.windows.net";
        assert!(customers_blob_service(plain, "acmecalls", (false, &none)).is_err());
    }

    #[test]
    fn an_address_of_our_own_network_passes_only_where_its_range_is_allowed() {
        let none = Ranges::default();
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "2130706433",
            "[::1]",
            "[fd00:ec2::254]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
        ] {
            let url = format!("https://{private}");
            assert!(customers(&url, false, &none).is_err(), "{private}");
        }
        for public in ["93.184.216.34", "[2606:2800:220:1::1]"] {
            let url = format!("https://{public}");
            assert!(customers(&url, false, &none).is_ok(), "{public}");
        }
        let allowed: Ranges = serde_json::from_str("[\"127.0.0.0/8\"]").unwrap();
        assert!(customers("https://127.0.0.1:9000", false, &allowed).is_ok());
        assert!(customers("https://10.0.0.1", false, &allowed).is_err());
    }
}
