//! Our own identity on AWS, as a customer's role must name it: said on the command line, or in the
//! configuration, or asked of STS.

use anyhow::Result;

use super::super::Context;
use super::super::destination::s3::words;
use crate::failure::Failure;
use crate::kit::Partition;
use crate::wiring;

/// What helps where we do not know who we are.
const HINT: &str = "name the identity that the fleet runs with: --principal \
                    arn:aws:iam::123456789012:role/callferry, or CALLFERRY_AWS_PRINCIPAL";

/// What an answer of STS leaves open.
const ONE: &str = "The kit trusts the identity that this command runs with. Where the fleet's \
                   roles have identities of their own, name each that reaches customers' buckets: \
                   transfer, cleanup, housekeeping, playback, and the operator's, whose \
                   `destination set`, `destination check` and `recording reroute` do: \
                   --principal ARN,ARN,…, or CALLFERRY_AWS_PRINCIPAL.";

/// Whom the role trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principals {
    /// The ARNs of roles or users.
    pub(super) arns: Vec<String>,
    /// How they are known.
    pub(super) from: &'static str,
    /// What a person should know about them.
    pub(super) notes: Vec<String>,
}

/// One of them, and what a person should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Principal {
    arn: String,
    note: Option<String>,
}

/// Finds them out.
pub(super) async fn find(said: &[String], region: &str, context: &Context) -> Result<Principals> {
    if !said.is_empty() {
        return all(said.iter().map(String::as_str), "--principal");
    }
    if let Some(arns) = &context.config.aws_principal {
        return all(arns.split(',').map(str::trim), "aws_principal");
    }
    let (clock, meter) = (wiring::clock(), wiring::no_meter());
    let stores = wiring::buckets(&context.config, &clock, &meter)?.stores;
    match stores.caller_identity(region).await {
        Ok(caller) => {
            let mut found = all([caller.arn.as_str()], "sts")?;
            found.notes.push(ONE.to_owned());
            Ok(found)
        }
        Err(fault) => {
            let why = format!("who we are to AWS is not known: {}", fault.detail);
            Err(Failure::failed(why).hint(HINT).into())
        }
    }
}

fn all<'a>(arns: impl IntoIterator<Item = &'a str>, from: &'static str) -> Result<Principals> {
    let mut found = Principals {
        arns: Vec::new(),
        from,
        notes: Vec::new(),
    };
    for arn in arns {
        let Principal { arn, note } = read(arn, from)?;
        found.arns.push(arn);
        found.notes.extend(note);
    }
    Ok(found)
}

/// A principal from an ARN; that of a role's session becomes the role's.
fn read(arn: &str, from: &'static str) -> Result<Principal> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "sts", "", account, resource] = parts.as_slice()
        && let Some(session) = resource.strip_prefix("assumed-role/")
        && let Some((role, _)) = session.split_once('/')
        && words::is_account(account)
    {
        let role = format!("arn:{partition}:iam::{account}:role/{role}");
        words::role(&role)?;
        let note = format!(
            "Our identity is a session ({arn}), so the kit trusts its role, {role}. A session's \
             name does not tell the role's path: if it has one, name the role with --principal."
        );
        return Ok(Principal {
            arn: role,
            note: Some(note),
        });
    }
    let is_known = match parts.as_slice() {
        ["arn", _, "iam", "", account, resource] if words::is_account(account) => {
            let user = resource.strip_prefix("user/").unwrap_or_default();
            is_plain(user) || words::role(arn).is_ok()
        }
        _ => false,
    };
    if !is_known {
        let what = match from {
            "sts" => format!("STS says that we are {arn}, which no role should trust"),
            _ => format!("`{from}` is not the ARN of a role or user"),
        };
        return Err(Failure::usage(what).hint(HINT).into());
    }
    Ok(Principal {
        arn: arn.to_owned(),
        note: None,
    })
}

fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
    !name.is_empty() && name.bytes().all(plain)
}

impl Principals {
    /// Refuses identities that no role of this partition could trust.
    pub(super) fn expect(&self, partition: Partition) -> Result<()> {
        let is_foreign = |arn: &&String| arn.split(':').nth(1) != Some(partition.as_str());
        let Some(foreign) = self.arns.iter().find(is_foreign) else {
            return Ok(());
        };
        let why = format!(
            "{foreign} cannot assume a role in {partition}: partitions of AWS know nothing of each \
             other"
        );
        Err(Failure::usage(why)
            .hint(format!(
                "name an identity of that partition: --principal \
                 arn:{partition}:iam::123456789012:role/callferry"
            ))
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{exit_code, hint};

    #[test]
    fn a_sessions_arn_becomes_its_roles_and_that_is_said() {
        let arn = "arn:aws:sts::123456789012:assumed-role/callferry/i-0a1b";
        let found = read(arn, "sts").unwrap();
        assert_eq!(found.arn, "arn:aws:iam::123456789012:role/callferry");
        let note = found.note.unwrap();
        assert!(note.contains(arn) && note.contains("path"), "{note}");
        for plain in [
            "arn:aws:iam::123456789012:role/platform/callferry",
            "arn:aws-cn:iam::123456789012:user/callferry",
        ] {
            let found = read(plain, "--principal").unwrap();
            assert_eq!((found.arn.as_str(), found.note), (plain, None));
        }
    }

    #[test]
    fn what_no_role_should_trust_is_refused() {
        for arn in [
            "*",
            "123456789012",
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::1234:role/callferry",
            "arn:aws:sts::123456789012:federated-user/x",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:user/*",
        ] {
            let error = read(arn, "--principal").unwrap_err();
            assert_eq!(exit_code(&error), 2, "{arn}");
            assert!(hint(&error).unwrap().contains("--principal"), "{arn}");
        }
    }

    #[test]
    fn an_identity_of_another_partition_is_refused_with_what_is_needed() {
        let ours = all(["arn:aws:iam::123456789012:role/callferry"], "sts").unwrap();
        assert!(ours.expect(Partition::of("eu-central-1")).is_ok());
        for (region, word) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            let error = ours.expect(Partition::of(region)).unwrap_err();
            assert!(hint(&error).unwrap().contains(word), "{error:#}");
        }
    }
}
