//! Where in a bucket an owner's keys may lie, and whether two owners could ever meet there.

use recording::{AccountId, AzureContainer, DestinationOwner, S3Bucket, Store};

/// Where a store is, in one spelling: equal where two revisions write into the same bucket or
/// container.
pub(crate) fn place(store: &Store) -> String {
    match store {
        Store::S3(bucket) => in_s3(bucket),
        Store::Azure(container) => in_azure(container),
    }
}

fn in_s3(bucket: &S3Bucket) -> String {
    s3_place(bucket.endpoint.as_deref(), &bucket.region, &bucket.bucket)
}

/// AWS has one name space of buckets in each of its partitions, whatever region or address is used.
pub(crate) fn s3_place(endpoint: Option<&str>, region: &str, bucket: &str) -> String {
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let origin = match endpoint {
        None => partition.to_owned(),
        Some(endpoint) => {
            let origin = endpoint.trim_end_matches('/').to_ascii_lowercase();
            let host = host(&origin);
            let is_awss = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
            if is_awss("amazonaws.com") || is_awss("amazonaws.com.cn") {
                partition.to_owned()
            } else {
                origin
            }
        }
    };
    format!("{origin} {bucket}")
}

/// Azure has one name space of storage accounts. Elsewhere the endpoint says which one it is.
fn in_azure(azure: &AzureContainer) -> String {
    let account = azure.storage_account.to_ascii_lowercase();
    let container = &azure.container;
    let Some(endpoint) = &azure.endpoint else {
        return format!("azure {account} {container}");
    };
    let origin = endpoint.trim_end_matches('/').to_ascii_lowercase();
    match azures_account(host(&origin)) {
        Some(named) => format!("azure {named} {container}"),
        None => format!("{} {container}", without_default_port(&origin)),
    }
}

/// The host of a URL in lower case.
pub(crate) fn host(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.split([':', '/']).next().unwrap_or_default()
}

/// The storage account that a host of Azure's own names.
pub(crate) fn azures_account(host: &str) -> Option<&str> {
    let (first, rest) = host.split_once('.')?;
    let azures = [".core.windows.net", ".storage.azure.net"];
    let within = |domain: &&str| rest.ends_with(*domain);
    azures.iter().any(within).then_some(first)
}

fn without_default_port(origin: &str) -> String {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return origin.to_owned();
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if scheme == "http" { ":80" } else { ":443" };
    let authority = authority.strip_suffix(port).unwrap_or(authority);
    format!("{scheme}://{authority}/{path}")
}

/// The keys that one revision may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) owner: DestinationOwner,
    pub(crate) account_leads_key: bool,
    pub(crate) prefix: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment<'a> {
    This(&'a str),
    /// Of every account without a destination of its own.
    AnyAccount,
}

impl Space {
    fn segments(&self) -> Vec<Segment<'_>> {
        let mut segments = Vec::new();
        match &self.owner {
            DestinationOwner::Default => segments.push(Segment::AnyAccount),
            DestinationOwner::Account(account) if self.account_leads_key => {
                segments.push(Segment::This(account.as_str()));
            }
            DestinationOwner::Account(_) => {}
        }
        let own = self.prefix.split('/').filter(|part| !part.is_empty());
        segments.extend(own.map(Segment::This));
        segments
    }

    /// Whether a key of one could lie below the prefix of the other. An account's own folder is
    /// its own, also within the platform's default.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let meets = |a: &Segment<'_>, b: &Segment<'_>| match (a, b) {
            (Segment::This(a), Segment::This(b)) => a == b,
            (Segment::AnyAccount, Segment::AnyAccount) => true,
            (Segment::This(word), Segment::AnyAccount) => self.may_be_anothers(word),
            (Segment::AnyAccount, Segment::This(word)) => other.may_be_anothers(word),
        };
        let (mine, theirs) = (self.segments(), other.segments());
        mine.iter().zip(&theirs).all(|(a, b)| meets(a, b))
    }

    /// Whether this owner's folder could be that of another account.
    fn may_be_anothers(&self, word: &str) -> bool {
        let own = match &self.owner {
            DestinationOwner::Account(account) => account.as_str() == word,
            DestinationOwner::Default => false,
        };
        !own && word.parse::<AccountId>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use recording::{AzureIdentity, Secret};

    use super::*;

    fn space(owner: &str, account_leads_key: bool, prefix: &str) -> Space {
        let owner = match owner {
            "default" => DestinationOwner::Default,
            account => DestinationOwner::Account(account.parse().unwrap()),
        };
        Space {
            owner,
            account_leads_key,
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn owners_meet_only_where_a_key_of_one_could_be_one_of_the_other() {
        let default = space("default", true, "");
        let rows = [
            (space("a", false, ""), space("b", true, ""), true),
            (space("a", false, "x"), space("b", true, ""), false),
            (space("a", false, "b"), space("b", true, ""), true),
            (space("a", false, "b/x"), space("b", true, "y"), false),
            (space("a", true, ""), space("b", true, ""), false),
            (space("a", true, "p"), default.clone(), false),
            (space("a", false, ""), default.clone(), true),
            (space("a", false, "a/p"), default.clone(), false),
            (space("a", false, "b/p"), default.clone(), true),
            (space("a", false, "b/p"), space("default", true, "q"), false),
            (space("a", false, "~b/p"), default, false),
        ];
        for (one, other, overlap) in rows {
            assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
            assert_eq!(other.overlaps(&one), overlap, "{other:?} {one:?}");
        }
    }

    #[test]
    fn one_bucket_has_one_spelling() {
        let in_region = |region: &str, endpoint: Option<&str>| {
            place(&Store::S3(S3Bucket {
                bucket: "b-1".to_owned(),
                region: region.to_owned(),
                role_arn: None,
                endpoint: endpoint.map(str::to_owned),
                prefix: String::new(),
                kms_key: None,
                storage_class: None,
                expected_owner: None,
                options: recording::S3Options::default(),
            }))
        };
        let at = |endpoint: Option<&str>| in_region("eu-central-1", endpoint);
        let aws = at(None);
        assert_eq!(in_region("us-east-1", None), aws);
        // Partitions have name spaces of their own.
        let china = in_region("cn-north-1", None);
        let by_address = Some("https://s3.cn-north-1.amazonaws.com.cn");
        assert_eq!(in_region("cn-north-1", by_address), china);
        assert_ne!(china, aws);
        assert_ne!(in_region("us-gov-west-1", None), aws);
        assert_eq!(at(Some("https://s3.eu-central-1.amazonaws.com")), aws);
        assert_ne!(at(Some("https://amazonaws.com.evil.test")), aws);
        assert_eq!(
            at(Some("http://S3.test:9000/")),
            at(Some("http://s3.test:9000"))
        );
    }

    #[test]
    fn one_container_has_one_spelling() {
        let at = |account: &str, endpoint: Option<&str>| {
            place(&Store::Azure(AzureContainer {
                storage_account: account.to_owned(),
                container: "calls".to_owned(),
                endpoint: endpoint.map(str::to_owned),
                prefix: String::new(),
                identity: AzureIdentity::Sas {
                    sas_token: Secret::default(),
                },
            }))
        };
        let azure = at("acme", None);
        for same in [
            "https://acme.blob.core.windows.net",
            "https://ACME.blob.core.windows.net:443/",
            "https://acme.privatelink.blob.core.windows.net",
            "https://acme.z04.blob.storage.azure.net",
        ] {
            assert_eq!(at("acme", Some(same)), azure, "{same}");
        }
        for other in [
            "https://acme.blob.core.windows.net.evil.test",
            "https://other.blob.core.windows.net",
            "https://acme.blob.core.chinacloudapi.cn",
        ] {
            assert_ne!(at("acme", Some(other)), azure, "{other}");
        }
        let emulated = at("acme", Some("https://127.0.0.1:10000/acme"));
        assert_eq!(emulated, at("acme", Some("HTTPS://127.0.0.1:10000/ACME")));
        assert_ne!(emulated, at("beta", Some("https://127.0.0.1:10000/beta")));
        assert_eq!(
            at("acme", Some("https://blobs.test:443/acme")),
            at("acme", Some("https://blobs.test/acme"))
        );
    }
}
