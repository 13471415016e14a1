//! What a bucket's administrator can do: statements that can be pasted into a policy as they are.

use recording::{Destination, Fault, ParkReason, Permission, S3Bucket};

use crate::credentials::statements;

/// What the statements are made of.
pub(super) struct Remedies<'a> {
    pub(super) s3: &'a S3Bucket,
    pub(super) destination: &'a Destination,
    /// What our keys there begin with.
    pub(super) prefix: String,
}

impl Remedies<'_> {
    /// What to do against a fault. `region` is where the store says that the bucket is.
    pub(super) fn against(
        &self,
        fault: &Fault,
        missing: &[Permission],
        region: Option<&str>,
    ) -> String {
        let bucket = &self.s3.bucket;
        let is = |reason| fault.reason == reason;
        if !missing.is_empty() {
            self.allow(missing)
        } else if is(ParkReason::RoleNotAssumable) {
            self.assume(fault)
        } else if is(ParkReason::KmsKeyUnusable) {
            let hint = ParkReason::KmsKeyUnusable.hint();
            let needs = [Permission::GenerateDataKey, Permission::Decrypt];
            format!("{hint}\n{}", self.allow(&needs))
        } else if is(ParkReason::BucketMissing) {
            let region = &self.s3.region;
            format!(
                "create the bucket, or set another destination:\n\
                 aws s3 mb s3://{bucket} --region {region}"
            )
        } else if is(ParkReason::OwnerMismatch) {
            format!(
                "find out whose bucket {bucket} is now; if it is right, set the destination anew \
                 with --expected-owner and its AWS account"
            )
        } else if let (true, Some(region)) = (is(ParkReason::WrongRegion), region) {
            format!("set the destination anew with --region {region}")
        } else {
            fault.reason.hint().to_owned()
        }
    }

    /// The statements that allow what is missing.
    pub(super) fn allow(&self, missing: &[Permission]) -> String {
        let role = self.s3.role_arn.as_deref();
        let whose = match role {
            Some(arn) => format!("add to a policy of the role {arn}"),
            None => "add to a policy of our own identity".to_owned(),
        };
        let statements = statements(self.s3, role.unwrap_or_default(), missing, &self.prefix);
        let mut text = format!("{whose}:\n{}", statements.join("\n"));
        if missing.iter().any(|it| it.action().starts_with("kms:")) {
            text.push_str("\nand let the key's own policy allow the same to that role");
        } else {
            text.push_str("\nand see that no policy of the bucket denies it");
        }
        text
    }

    /// What lets us assume the role, by what STS says: most of it is about trust, and some is not.
    fn assume(&self, fault: &Fault) -> String {
        let arn = self.s3.role_arn.as_deref().unwrap_or_default();
        let region = &self.s3.region;
        let says = |code: &str| fault.detail.contains(code);
        if says("RegionDisabledException") {
            format!(
                "activate STS in {region} for the account of {arn} (IAM, account settings), and \
                 the region itself where it is one that must be enabled:\n\
                 aws account enable-region --region-name {region}"
            )
        } else if says("PackedPolicyTooLarge") {
            "the policy that narrows our sessions is too large for STS: set the destination anew \
             with a shorter prefix, and name the KMS key by its ARN"
                .to_owned()
        } else if says("MalformedPolicyDocument") {
            "STS does not understand the policy that narrows our sessions, which is no fault of \
             the role's: tell callferry's operators the bucket, the prefix and the KMS key"
                .to_owned()
        } else if says("ValidationError") {
            format!(
                "STS does not take this role: see that {arn} is right, then\n{}",
                self.trust()
            )
        } else {
            self.trust()
        }
    }

    /// The statement that lets us assume the role.
    fn trust(&self) -> String {
        let arn = self.s3.role_arn.as_deref().unwrap_or_default();
        let id = self.destination.external_id.as_deref().unwrap_or_default();
        format!(
            "the trust policy of {arn} must name our identity and this external id, as \
             `callferry setup-kit` prints it:\n\
             {{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"OUR IDENTITY\"}},\
             \"Action\":\"sts:AssumeRole\",\
             \"Condition\":{{\"StringEquals\":{{\"sts:ExternalId\":\"{id}\"}}}}}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use recording::{DestinationOwner, Store};

    use super::*;

    fn with<T>(test: impl FnOnce(&Remedies<'_>) -> T) -> T {
        let s3 = S3Bucket {
            bucket: "acme-calls".to_owned(),
            region: "eu-central-1".to_owned(),
            role_arn: Some("arn:aws-us-gov:iam::111122223333:role/r".to_owned()),
            endpoint: None,
            prefix: "in".to_owned(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
            options: recording::S3Options::default(),
        };
        let destination = Destination {
            owner: DestinationOwner::Account("acme".parse().unwrap()),
            revision: 0,
            credential_revision: 0,
            store: Store::S3(s3.clone()),
            external_id: Some("callferry-1".to_owned()),
            account_leads_key: false,
        };
        test(&Remedies {
            s3: &s3,
            destination: &destination,
            prefix: "in/".to_owned(),
        })
    }

    #[test]
    fn what_is_missing_is_a_statement_that_can_be_pasted() {
        let text = with(|remedies| {
            let fault = Fault::new(ParkReason::AccessDenied, "list: 403 AccessDenied");
            remedies.against(&fault, &[Permission::ListBucket], None)
        });
        let statement = text.lines().nth(1).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(statement).unwrap();
        assert_eq!(parsed["Action"][0], "s3:ListBucket");
        assert_eq!(parsed["Resource"], "arn:aws-us-gov:s3:::acme-calls");
        assert_eq!(parsed["Condition"]["StringLike"]["s3:prefix"], "in/*");
    }

    #[test]
    fn a_role_is_told_our_external_id_and_a_wrong_region_the_right_one() {
        with(|remedies| {
            let fault = |reason| Fault::new(reason, "");
            let trust = remedies.against(&fault(ParkReason::RoleNotAssumable), &[], None);
            let statement = trust.lines().last().unwrap();
            let parsed: serde_json::Value = serde_json::from_str(statement).unwrap();
            let condition = &parsed["Condition"]["StringEquals"]["sts:ExternalId"];
            assert_eq!(condition, "callferry-1");
            // Trust is not what every refusal of STS is about.
            for (code, expected) in [
                ("AccessDenied", "sts:ExternalId"),
                (
                    "RegionDisabledException",
                    "enable-region --region-name eu-central-1",
                ),
                ("PackedPolicyTooLarge", "shorter prefix"),
                ("MalformedPolicyDocument", "operators"),
            ] {
                let detail = format!("assume role: 403 {code}");
                let fault = Fault::new(ParkReason::RoleNotAssumable, detail);
                let remedy = remedies.against(&fault, &[], None);
                assert!(remedy.contains(expected), "{code}: {remedy}");
                assert_eq!(
                    remedy.contains("ExternalId"),
                    code == "AccessDenied",
                    "{remedy}"
                );
            }
            let region = remedies.against(&fault(ParkReason::WrongRegion), &[], Some("us-east-2"));
            assert!(region.contains("--region us-east-2"), "{region}");
            let missing = remedies.against(&fault(ParkReason::BucketMissing), &[], None);
            assert!(missing.contains("s3://acme-calls"), "{missing}");
        });
    }
}
