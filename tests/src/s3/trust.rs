//! Trust policies: who may assume a role, and with which external id. Just enough of the language
//! for what a customer writes for a service like ours; anything else is refused when it is parsed,
//! because a condition that is silently ignored would make the laboratory more generous than AWS.

use serde::Deserialize;

use super::policy::{MalformedPolicy, OneOrMany};

/// What a trust policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    /// ARNs of roles and users that may assume the role.
    pub(crate) principals: Vec<String>,
    /// The external id that they must bring, if any.
    pub(crate) external_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Document {
    version: String,
    statement: OneOrMany<Statement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    principal: Principal,
    action: String,
    condition: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: OneOrMany<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "StringEquals")]
    equals: Equals,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Equals {
    #[serde(rename = "sts:ExternalId")]
    external_id: String,
}

impl Trust {
    /// Reads a JSON document with one statement.
    pub(crate) fn parse(json: &str) -> Result<Self, MalformedPolicy> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| MalformedPolicy::new(error.to_string()))?;
        let mut statements = document.statement.into_vec();
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(MalformedPolicy::new("one statement was expected"));
        };
        let words = (&*document.version, &*statement.effect, &*statement.action);
        if words != ("2012-10-17", "Allow", "sts:AssumeRole") {
            return Err(MalformedPolicy::new(format!("{words:?}")));
        }
        let principals = statement.principal.aws.into_vec();
        let is_arn = |arn: &String| arn.starts_with("arn:aws:iam::") && !arn.contains('*');
        if !principals.iter().all(is_arn) {
            return Err(MalformedPolicy::new(format!(
                "Invalid principal {principals:?}"
            )));
        }
        Ok(Self {
            principals,
            external_id: statement.condition.map(|it| it.equals.external_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "arn:aws:iam::000000000000:role/callferry";

    fn policy(principal: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",
               "Principal":{principal},"Action":"sts:AssumeRole"{condition}}}]}}"#
        )
    }

    #[test]
    fn principals_and_the_external_id_are_read() {
        let condition = r#","Condition":{"StringEquals":{"sts:ExternalId":"cf-1"}}"#;
        let trust = Trust::parse(&policy(&format!(r#"{{"AWS":"{OURS}"}}"#), condition)).unwrap();
        assert_eq!(trust.principals, [OURS]);
        assert_eq!(trust.external_id.as_deref(), Some("cf-1"));
        let open = Trust::parse(&policy(&format!(r#"{{"AWS":["{OURS}"]}}"#), "")).unwrap();
        assert_eq!(open.external_id, None);
    }

    #[test]
    fn what_would_have_to_be_ignored_is_refused() {
        let ours = format!(r#"{{"AWS":"{OURS}"}}"#);
        for (principal, condition) in [
            (r#""*""#, ""),
            (r#"{"AWS":"*"}"#, ""),
            (r#"{"Service":"ec2.amazonaws.com"}"#, ""),
            (
                ours.as_str(),
                r#","Condition":{"StringLike":{"sts:ExternalId":"*"}}"#,
            ),
            (
                ours.as_str(),
                r#","Condition":{"StringEquals":{"aws:SourceIp":"10.0.0.1"}}"#,
            ),
        ] {
            assert!(
                Trust::parse(&policy(principal, condition)).is_err(),
                "{principal}{condition}"
            );
        }
    }
}
