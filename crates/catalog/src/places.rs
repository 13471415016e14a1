//! Where in a bucket an owner's keys may lie, and whether two owners could ever meet there.

use recording::{AccountId, DestinationOwner, S3Bucket};

use crate::admin::AdminFault;

/// Endpoint and bucket in one spelling: equal where two revisions write into the same bucket.
/// AWS has one name space of buckets, whatever region or address is used.
pub(crate) fn place(bucket: &S3Bucket) -> String {
    let origin = match &bucket.endpoint {
        None => "aws".to_owned(),
        Some(endpoint) => {
            let origin = endpoint.trim_end_matches('/').to_ascii_lowercase();
            let host = origin.split_once("://").map_or(&*origin, |(_, host)| host);
            let host = host.split([':', '/']).next().unwrap_or_default();
            if host == "amazonaws.com" || host.ends_with(".amazonaws.com") {
                "aws".to_owned()
            } else {
                origin
            }
        }
    };
    format!("{origin} {}", bucket.bucket)
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

/// Checks what would make keys, sessions or requests ambiguous.
pub(crate) fn check(owner: &DestinationOwner, bucket: &S3Bucket) -> Result<(), AdminFault> {
    let plain = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let name = bucket.bucket.as_str();
    let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !(3..=63).contains(&name.len()) || !name.bytes().all(in_name) {
        return Err(AdminFault::refused(
            format!("`{name}` is not the name of a bucket"),
            "3 to 63 letters, digits, dots and hyphens",
        ));
    }
    let whole = |part: &str| !part.is_empty() && part != "." && part != ".." && plain(part);
    // IAM reads these as wildcards in the policy that narrows a session to the prefix.
    let literal = !bucket.prefix.contains(['*', '?', '$']);
    if !bucket.prefix.is_empty() && (!bucket.prefix.split('/').all(whole) || !literal) {
        return Err(AdminFault::refused(
            format!("`{}` cannot lead keys", bucket.prefix),
            "words joined by single slashes, none at its ends, without spaces, *, ? and $",
        ));
    }
    if !plain(&bucket.region) || bucket.region.is_empty() {
        return Err(AdminFault::refused(
            "a destination needs its bucket's region",
            "for instance --region eu-central-1",
        ));
    }
    if bucket.role_arn.is_none() && *owner != DestinationOwner::Default {
        return Err(AdminFault::refused(
            "an account's bucket is written only as a role of the customer",
            "add --role-arn; `callferry setup-kit` makes the role",
        ));
    }
    let digits = |id: &String| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    if !bucket.expected_owner.as_ref().is_none_or(digits) {
        return Err(AdminFault::refused(
            "the bucket's expected owner is not an AWS account",
            "12 digits",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        let at = |endpoint: Option<&str>| S3Bucket {
            bucket: "b-1".to_owned(),
            region: "eu-central-1".to_owned(),
            role_arn: None,
            endpoint: endpoint.map(str::to_owned),
            prefix: String::new(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
        };
        let aws = place(&at(None));
        assert_eq!(
            place(&at(Some("https://s3.eu-central-1.amazonaws.com"))),
            aws
        );
        assert_ne!(place(&at(Some("https://amazonaws.com.evil.test"))), aws);
        assert_eq!(
            place(&at(Some("http://S3.test:9000/"))),
            place(&at(Some("http://s3.test:9000")))
        );
    }
}
