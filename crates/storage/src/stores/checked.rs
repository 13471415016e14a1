//! The last check before anything leaves for a bucket: that it is this account's to use. It
//! stands in every build, because one account's recording in another's bucket is the fault that
//! no later step would notice.

use recording::{
    AccountId, Destination, DestinationOwner, Fault, ObjectKey, Outbound, ParkReason, SendFault,
    StagingFault,
};

fn refuse<T>(why: &str) -> Result<T, Fault> {
    let detail = format!("refused: {why}");
    Err(Fault::new(ParkReason::ForeignObject, detail))
}

/// What all keys that the account may use there begin with.
pub(super) fn prefix(destination: &Destination, account: &AccountId) -> Result<String, Fault> {
    match &destination.owner {
        DestinationOwner::Account(owner) if owner == account => {}
        DestinationOwner::Account(_) => return refuse("the destination is another account's"),
        DestinationOwner::Default if destination.account_leads_key => {}
        DestinationOwner::Default => return refuse("the default's keys do not name the account"),
    }
    Ok(destination.key_prefix(account))
}

/// That the key is one of them.
pub(super) fn key(
    destination: &Destination,
    account: &AccountId,
    key: &ObjectKey,
) -> Result<(), Fault> {
    let prefix = prefix(destination, account)?;
    let Some(rest) = key.as_str().strip_prefix(prefix.as_str()) else {
        return refuse("the key lies outside what the account may use");
    };
    // A URL would resolve these, and so change what was checked.
    let plain = |component: &str| !matches!(component, "" | "." | "..");
    if rest.is_empty() || !key.as_str().split('/').all(plain) {
        return refuse("the key has an empty or a dot component");
    }
    Ok(())
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
    use recording::{S3Bucket, S3Options, Store};

    use super::*;

    fn to(owner: DestinationOwner, leads: bool, prefix: &str) -> Destination {
        Destination {
            owner,
            revision: 1,
            credential_revision: 1,
            store: Store::S3(S3Bucket {
                bucket: "rec".to_owned(),
                region: "eu-west-1".to_owned(),
                role_arn: None,
                endpoint: None,
                prefix: prefix.to_owned(),
                kms_key: None,
                storage_class: None,
                expected_owner: None,
                options: S3Options::default(),
            }),
            external_id: None,
            account_leads_key: leads,
        }
    }

    #[test]
    fn only_the_accounts_own_keys_pass() {
        let acme: AccountId = "acme".parse().unwrap();
        let beta: AccountId = "beta".parse().unwrap();
        let check = |destination: &Destination, key: &str| {
            let key = ObjectKey::remembered(key.to_owned());
            super::key(destination, &acme, &key)
        };
        let own = to(DestinationOwner::Account(acme.clone()), false, "");
        assert_eq!(check(&own, "call/a.wav"), Ok(()));
        let shared = to(DestinationOwner::Default, true, "in");
        assert_eq!(prefix(&shared, &acme), Ok("acme/in/".to_owned()));
        assert_eq!(check(&shared, "acme/in/a.wav"), Ok(()));
        for outside in [
            "beta/in/a.wav",
            "acme/a.wav",
            "acme/in/",
            "acme/in/../../beta/in/a",
        ] {
            assert!(check(&shared, outside).is_err(), "{outside}");
        }
        let foreign = to(DestinationOwner::Account(beta), false, "");
        assert!(check(&foreign, "call/a.wav").is_err());
        let anonymous = to(DestinationOwner::Default, false, "");
        assert!(check(&anonymous, "call/a.wav").is_err());
    }
}
