//! Endpoints that somebody gives us: an origin, https unless http is allowed, and no address of
//! our own network. Names are judged again by the connector, at every connect, once they resolve.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use recording::Store;
use tokio::time::timeout;
use url::{Host, Url};

use crate::config::{Config, Ranges};
use crate::failure::Failure;

/// What an operator's endpoint looks like.
const EXAMPLE: &str = "an origin such as https://s3.example.com:9000";
/// What a customer's endpoint looks like.
const CUSTOMERS_EXAMPLE: &str = "--endpoint takes an origin such as https://s3.example.com:9000";
/// What a blob service's URL looks like.
const BLOB_EXAMPLE: &str = "--endpoint, as in https://acmecalls.blob.core.windows.net, without \
                            the container; an emulator has the storage account as its path";

/// The origin, `https://host[:port]`, of a URL that is nothing else; `name` is what people call it.
pub(crate) fn plain_origin(name: &str, url: &Url, allow_http: bool) -> Result<String> {
    let origin = safe_origin((name, EXAMPLE), url, allow_http)?;
    without_path((name, EXAMPLE), url)?;
    Ok(origin)
}

fn without_path((name, example): (&str, &str), url: &Url) -> Result<()> {
    if matches!(url.path(), "" | "/") {
        return Ok(());
    }
    Err(Failure::usage(format!("{name} must not have a path"))
        .hint(example)
        .into())
}

/// The origin of a URL that may have a path, but nothing else that could carry a secret or lead
/// elsewhere. With what people call it goes an example of it.
fn safe_origin((name, example): (&str, &str), url: &Url, allow_http: bool) -> Result<String> {
    let refuse = |why: &str| Failure::usage(format!("{name} {why}"));
    match (url.scheme(), allow_http) {
        ("https", _) | ("http", true) => {}
        ("http", false) => {
            let hint = format!(
                "{example}; plain http is for laboratories only: CALLFERRY_ALLOW_HTTP=true"
            );
            return Err(refuse("must be https").hint(hint).into());
        }
        _ => return Err(refuse("must be https").hint(example).into()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not carry a user or password")
            .hint(example)
            .into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        let failure = refuse("must not have a query or fragment");
        return Err(failure.hint(example).into());
    }
    Ok(url.origin().ascii_serialization())
}

/// What people call a customer's endpoint.
const CUSTOMERS: &str = "--endpoint";
/// How long a name may take to be resolved when a destination is set.
const RESOLVING: Duration = Duration::from_secs(5);

/// Reads a customer's endpoint and returns its origin.
pub(crate) fn customers(text: &str, allow_http: bool, allowed: &Ranges) -> Result<String> {
    let (url, origin) = customers_origin(CUSTOMERS_EXAMPLE, text, (allow_http, allowed))?;
    without_path((CUSTOMERS, CUSTOMERS_EXAMPLE), &url)?;
    Ok(origin)
}

/// What both clouds' endpoints must be, whatever follows the origin.
fn customers_origin(
    example: &str,
    text: &str,
    (allow_http, allowed): (bool, &Ranges),
) -> Result<(Url, String)> {
    let refuse = |why: &str| Failure::usage(format!("{CUSTOMERS} {why}")).hint(example);
    // Letters that only look like a name, or like digits, are for people to be deceived by.
    if !text.is_ascii() {
        return Err(refuse("must be ASCII; a name in other letters begins with xn-- then").into());
    }
    let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
    let origin = safe_origin((CUSTOMERS, example), &url, allow_http)?;
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(refuse("must not have a dot at the end of its host").into());
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if !storage::permits_port(port, allow_http) {
        return Err(refuse("has a port that is neither 443 nor 1024 or above").into());
    }
    reachable(&url, allowed)?;
    Ok((url, origin))
}

/// Reads the URL of a customer's blob service: an origin, or an emulator's origin with the storage
/// account as its path. `None` is Azure's own, which needs no URL.
pub(crate) fn customers_blob_service(
    text: &str,
    storage_account: &str,
    allowances: (bool, &Ranges),
) -> Result<Option<String>> {
    let (url, _) = customers_origin(BLOB_EXAMPLE, text, allowances)?;
    operators_blob_service(CUSTOMERS, &url, storage_account, allowances.0)
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
    let origin = safe_origin((name, BLOB_EXAMPLE), url, allow_http)?;
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

/// Refuses a host that is written as an address, unless its range is allowed, as every connect
/// will.
fn reachable(url: &Url, allowed: &Ranges) -> Result<()> {
    let address = match url.host() {
        None | Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    match storage::judge_address(allowed.as_slice(), address) {
        storage::Judged::Allowed => Ok(()),
        storage::Judged::Public => {
            let why = format!("{CUSTOMERS} must be a name, not an address");
            Err(Failure::usage(why).hint(CUSTOMERS_EXAMPLE).into())
        }
        storage::Judged::Private => Err(private("is")),
    }
}

fn private(how: &str) -> anyhow::Error {
    Failure::usage(format!("{CUSTOMERS} {how} a private or reserved address"))
        .hint(
            "--endpoint must be reached over the internet; where an address of your own network \
             is meant, list its range in CALLFERRY_ALLOWED_PRIVATE_RANGES",
        )
        .into()
}

/// Looks what the name of a store's endpoint resolves to, and refuses what every connect would.
/// A name that does not resolve now may do so later: that is for a check of the destination.
pub(crate) async fn resolves_well(store: &Store, config: &Config) -> Result<()> {
    let endpoint = match store {
        Store::S3(s3) => s3.endpoint.as_deref(),
        Store::Azure(azure) => azure.endpoint.as_deref(),
    };
    let url = endpoint.and_then(|endpoint| Url::parse(endpoint).ok());
    let Some(Host::Domain(name)) = url.as_ref().and_then(Url::host) else {
        return Ok(());
    };
    let found = timeout(RESOLVING, tokio::net::lookup_host((name, 0))).await;
    let Ok(Ok(found)) = found else {
        return Ok(());
    };
    let allowed = config.allowed_private_ranges.as_slice();
    for address in found {
        if !storage::permits_address(allowed, address.ip()) {
            return Err(private("resolves to"));
        }
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
            "https://s3.example.com:22",
            "https://s3.example.com:0",
            "https://s3.example.com:80",
            "https://s3.example.com.",
            "https://s3.ex\u{e4}mple.com",
            "https://\u{2460}\u{2461}\u{2466}.0.0.1",
        ] {
            let error = read(bad).unwrap_err();
            let hint = crate::failure::hint(&error).unwrap_or_default();
            assert!(hint.contains("--endpoint"), "{bad}: {hint}");
        }
        assert_eq!(
            customers("http://h:1025", true, &none).unwrap(),
            "http://h:1025".to_owned()
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
            let error = customers(&url, false, &none).unwrap_err();
            assert!(error.to_string().contains("must be a name"), "{error}");
        }
        let allowed: Ranges = serde_json::from_str("[\"127.0.0.0/8\"]").unwrap();
        assert!(customers("https://127.0.0.1:9000", false, &allowed).is_ok());
        assert!(customers("https://10.0.0.1", false, &allowed).is_err());
    }
}
