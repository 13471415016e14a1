//! The last check before anything leaves for a bucket: that it is this account's to use. It
//! stands in every build, because one account's recording in another's bucket is the fault that
//! no later step would notice.

use recording::{
    AccountId, Destination, DestinationOwner, Fault, ObjectKey, Outbound, ParkReason, SendFault,
    StagingFault,
};

/// What the key must begin with, and does.
pub(super) fn prefix(
    destination: &Destination,
    account: &AccountId,
    key: &ObjectKey,
) -> Result<String, Fault> {
    let refuse = |why: &str| {
        let detail = format!("refused: {why}");
        Err(Fault::new(ParkReason::ForeignObject, detail))
    };
    match &destination.owner {
        DestinationOwner::Account(owner) if owner == account => {}
        DestinationOwner::Account(_) => return refuse("the destination is another account's"),
        DestinationOwner::Default if destination.account_leads_key => {}
        DestinationOwner::Default => return refuse("the default's keys do not name the account"),
    }
    let prefix = destination.key_prefix(account);
    let Some(rest) = key.as_str().strip_prefix(prefix.as_str()) else {
        return refuse("the key lies outside what the account may use");
    };
    // A URL would resolve these, and so change what was checked.
    let plain = |component: &str| !matches!(component, "" | "." | "..");
    if rest.is_empty() || !key.as_str().split('/').all(plain) {
        return refuse("the key has an empty or a dot component");
    }
    Ok(prefix)
}

/// The open original has the announced size; otherwise something else would be stored whole.
pub(super) fn size(outbound: &Outbound<'_>) -> Result<(), SendFault> {
    if outbound.original.identity().size_bytes == outbound.size_bytes {
        Ok(())
    } else {
        Err(StagingFault::Changed.into())
    }
}

#[cfg(test)]
mod tests {
    use recording::S3Bucket;

    use super::*;

    fn destination(owner: DestinationOwner, leads: bool, prefix: &str) -> Destination {
        Destination {
            owner,
            revision: 1,
            s3: S3Bucket {
                bucket: "rec".to_owned(),
                region: "eu-west-1".to_owned(),
                role_arn: None,
                endpoint: None,
                prefix: prefix.to_owned(),
                kms_key: None,
                storage_class: None,
                expected_owner: None,
            },
            external_id: None,
            account_leads_key: leads,
        }
    }

    #[test]
    fn only_the_accounts_own_keys_pass() {
        let acme: AccountId = "acme".parse().unwrap();
        let beta: AccountId = "beta".parse().unwrap();
        let check = |destination: &Destination, key: &str| {
            prefix(destination, &acme, &ObjectKey::remembered(key.to_owned()))
        };
        let own = destination(DestinationOwner::Account(acme.clone()), false, "");
        assert_eq!(check(&own, "call/a.wav"), Ok(String::new()));
        let shared = destination(DestinationOwner::Default, true, "in");
        assert_eq!(check(&shared, "acme/in/a.wav"), Ok("acme/in/".to_owned()));
        for outside in [
            "beta/in/a.wav",
            "acme/a.wav",
            "acme/in/",
            "acme/in/../../beta/in/a",
        ] {
            assert!(check(&shared, outside).is_err(), "{outside}");
        }
        let foreign = destination(DestinationOwner::Account(beta), false, "");
        assert!(check(&foreign, "call/a.wav").is_err());
        let anonymous = destination(DestinationOwner::Default, false, "");
        assert!(check(&anonymous, "call/a.wav").is_err());
    }
}
