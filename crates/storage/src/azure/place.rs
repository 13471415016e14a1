//! Where a destination's container is.

use http::Uri;
use recording::{AzureContainer, AzureIdentity, Fault};
use url::Url;

use crate::exchange::{encode_key, unusable};

/// Azure's own clouds: there is nothing between us and the service that TLS does not cover, and the
/// service does what its documentation says.
const AZURE: [&str; 3] = [
    ".blob.core.windows.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
];

/// A container's place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// URL of the blob service, without a slash at its end.
    service_url: String,
    /// URL of the container, without a slash at its end.
    container_url: String,
    /// The storage account.
    pub(super) storage_account: String,
    /// The container.
    pub(super) container: String,
    /// Whether it is Azure itself, which is known to honour conditions and to verify checksums.
    pub(super) is_azure: bool,
    /// Whether requests go over plain http, in a laboratory.
    pub(super) plain_http: bool,
}

impl Place {
    /// Reads a destination's Azure part.
    pub(crate) fn new(azure: &AzureContainer, allow_http: bool) -> Result<Self, Fault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let account = &azure.storage_account;
        if account.is_empty() || !account.bytes().all(plain) {
            return Err(unusable("the storage account's name is none"));
        }
        let container = &azure.container;
        if container.is_empty() || !container.bytes().all(plain) {
            return Err(unusable("the container's name is none"));
        }
        let service = match &azure.endpoint {
            Some(endpoint) => service_url(endpoint, account, allow_http)?,
            None => service_url(
                &format!("https://{account}.blob.core.windows.net"),
                account,
                false,
            )?,
        };
        let is_azure = is_azures(&service);
        if shows_our_identity(&azure.identity) && !is_azure && !allow_http {
            let why = "our own identity's tokens are sent to Azure's own hosts only";
            return Err(unusable(why));
        }
        let service_url = service.as_str().trim_end_matches('/');
        Ok(Self {
            is_azure,
            plain_http: service.scheme() == "http",
            container_url: format!("{service_url}/{container}"),
            service_url: service_url.to_owned(),
            storage_account: account.clone(),
            container: container.clone(),
        })
    }

    /// The URL of the blob service itself, with a query that is escaped already.
    pub(super) fn service(&self, query: &str) -> Result<Uri, Fault> {
        let url = format!("{}/?{query}", self.service_url);
        Uri::try_from(url).map_err(|_| unusable("no URL can be made of the endpoint"))
    }

    /// The URL of a blob, with a query that is escaped already.
    pub(super) fn url(&self, key: &str, query: &str) -> Result<Uri, Fault> {
        let mut url = format!("{}/{}", self.container_url, encode_key(key));
        if !query.is_empty() {
            url.push('?');
            url.push_str(query);
        }
        Uri::try_from(url).map_err(|_| unusable("no URL can be made for the key"))
    }

    /// The URL of the container itself, with a query that is escaped already.
    pub(super) fn container_url(&self, query: &str) -> Result<Uri, Fault> {
        let url = format!("{}?{query}", self.container_url);
        Uri::try_from(url).map_err(|_| unusable("no URL can be made for the container"))
    }
}

fn is_azures(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    AZURE.iter().any(|domain| host.ends_with(domain))
}

/// Whether a blob service at this URL may be shown a token of our own workload or machine.
///
/// Not one of an identity whose secret the customer gave us. Whoever receives such a token can use it at
/// every container that trusts us, so it goes to Azure's own hosts alone; in a laboratory, where
/// plain http is allowed, anywhere.
#[must_use]
pub fn may_see_our_identity(endpoint: Option<&str>, allow_http: bool) -> bool {
    let url = endpoint.map(Url::parse);
    allow_http || url.is_none_or(|url| url.is_ok_and(|url| is_azures(&url)))
}

/// Whether the token that is sent there is our own workload's or machine's.
fn shows_our_identity(identity: &AzureIdentity) -> bool {
    match identity {
        AzureIdentity::Federated { .. } | AzureIdentity::ManagedIdentity { .. } => true,
        AzureIdentity::AccessKey { .. }
        | AzureIdentity::Sas { .. }
        | AzureIdentity::ServicePrincipal { .. } => false,
    }
}

/// An emulator names the storage account in its path, so the endpoint may have it, and no other.
fn service_url(endpoint: &str, account: &str, allow_http: bool) -> Result<Url, Fault> {
    let url = Url::parse(endpoint).map_err(|_| unusable("the endpoint is no URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            let why = "the endpoint is plain http, which is not allowed here";
            return Err(unusable(why));
        }
        _ => return Err(unusable("the endpoint must begin with https://")),
    }
    let dotted = url.host_str().is_some_and(|host| host.ends_with('.'));
    let path = url.path().trim_matches('/');
    let is_plain = !dotted
        && (path.is_empty() || path == account)
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.has_host();
    if is_plain {
        Ok(url)
    } else {
        Err(unusable(
            "the endpoint must be an origin, or end with the account",
        ))
    }
}

#[cfg(test)]
mod tests {
    use recording::{AzureIdentity, Secret};

    use super::*;

    fn azure(endpoint: Option<&str>, account: &str, container: &str) -> AzureContainer {
        AzureContainer {
            storage_account: account.to_owned(),
            container: container.to_owned(),
            endpoint: endpoint.map(ToOwned::to_owned),
            prefix: String::new(),
            identity: AzureIdentity::Sas {
                sas_token: Secret::new("sig=x".to_owned()),
            },
        }
    }

    #[test]
    fn urls_are_azures_own_or_below_the_endpoint() {
        let own = Place::new(&azure(None, "acme", "calls"), false).unwrap();
        assert!(own.is_azure && !own.plain_http);
        let url = own.url("a b/ü.wav", "comp=block").unwrap().to_string();
        assert_eq!(
            url,
            "https://acme.blob.core.windows.net/calls/a%20b/%C3%BC.wav?comp=block"
        );
        let china = Some("https://acme.blob.core.chinacloudapi.cn");
        assert!(
            Place::new(&azure(china, "acme", "calls"), false)
                .unwrap()
                .is_azure
        );
        let lab = azure(Some("http://127.0.0.1:10000/acme/"), "acme", "calls");
        let lab = Place::new(&lab, true).unwrap();
        assert!(!lab.is_azure && lab.plain_http);
        let url = lab.url("k", "").unwrap().to_string();
        assert_eq!(url, "http://127.0.0.1:10000/acme/calls/k");
    }

    #[test]
    fn endpoints_and_names_that_are_none_are_refused() {
        let refused = |endpoint, account, container| {
            Place::new(&azure(endpoint, account, container), false).is_err()
        };
        assert!(refused(Some("http://x/acme"), "acme", "calls"));
        assert!(refused(Some("ftp://x"), "acme", "calls"));
        assert!(refused(Some("https://u:p@x"), "acme", "calls"));
        assert!(refused(Some("https://x?sig=1"), "acme", "calls"));
        assert!(refused(None, "acme.evil.example/", "calls"));
        assert!(refused(None, "acme", "calls/../other"));
        assert!(refused(None, "", "calls") && refused(None, "acme", ""));
    }
}
