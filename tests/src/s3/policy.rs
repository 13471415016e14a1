//! IAM policy documents: just enough of them to tell an allowed request from a forbidden one.
//!
//! Understood are `Effect`, `Action`, `Resource` and `Condition` with the string tests, also with
//! `IfExists`. Anything else is refused when the document is parsed: a condition that is silently
//! ignored would make the laboratory more generous than AWS.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A permission policy or a session policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
#[error("malformed policy document: {0}")]
pub struct MalformedPolicy(String);

impl MalformedPolicy {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What one policy says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Some statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement speaks of it.
    Silent,
}

/// A request as a policy sees it.
pub(crate) struct Asked<'a> {
    /// For example `s3:PutObject`.
    pub(crate) action: &'a str,
    /// For example `arn:aws:s3:::bucket/key`.
    pub(crate) resource: &'a str,
    /// Values of condition keys; absent keys have none.
    pub(crate) context: &'a dyn Fn(&str) -> Option<String>,
}

#[derive(Clone, Debug)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    test: Test,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equals,
    NotEquals,
    Like,
    NotLike,
}

impl Policy {
    /// A policy that allows nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A policy that allows every action on every bucket.
    #[must_use]
    pub fn everything() -> Self {
        Self::none().allow(&["s3:*"], &["arn:aws:s3:::*"])
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// When it is not JSON, or says something this evaluator would have to ignore.
    pub fn parse(json: &str) -> Result<Self, MalformedPolicy> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| MalformedPolicy(error.to_string()))?;
        if let Some(version) = &document.version
            && !matches!(version.as_str(), "2012-10-17" | "2008-10-17")
        {
            return Err(MalformedPolicy(format!("unknown Version {version}")));
        }
        let mut statements = Vec::new();
        for statement in document.statement.into_vec() {
            statements.push(Statement::read(statement)?);
        }
        Ok(Self { statements })
    }

    /// Also allows these actions on these resources (`*` and `?` as in AWS).
    #[must_use]
    pub fn allow(self, actions: &[&str], resources: &[&str]) -> Self {
        self.with(true, actions, resources)
    }

    /// Also denies these actions on these resources, whatever else is allowed.
    #[must_use]
    pub fn deny(self, actions: &[&str], resources: &[&str]) -> Self {
        self.with(false, actions, resources)
    }

    /// What a customer grants for one bucket and prefix: the given object actions below the prefix
    /// (`""`: the whole bucket), multipart bookkeeping and location on the bucket, and listing it
    /// under that prefix only. With a prefix, `HeadBucket` is therefore refused, as on AWS.
    #[must_use]
    pub fn bucket(bucket: &str, prefix: &str, object_actions: &[&str]) -> Self {
        let objects = format!("arn:aws:s3:::{bucket}/{prefix}*");
        let whole = format!("arn:aws:s3:::{bucket}");
        let bookkeeping = ["s3:ListBucketMultipartUploads", "s3:GetBucketLocation"];
        let listing = ["s3:ListBucket", "s3:ListBucketVersions"];
        let mut policy = Self::none()
            .allow(object_actions, &[&objects])
            .allow(&bookkeeping, &[&whole])
            .allow(&listing, &[&whole]);
        if let (false, Some(last)) = (prefix.is_empty(), policy.statements.last_mut()) {
            last.conditions.push(Condition {
                test: Test::Like,
                if_exists: false,
                key: "s3:prefix".into(),
                values: vec![format!("{prefix}*")],
            });
        }
        policy
    }

    /// What this policy says about the request.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            if !statement.covers(asked) {
                continue;
            }
            if !statement.allows {
                return Verdict::Denied;
            }
            verdict = Verdict::Allowed;
        }
        verdict
    }

    fn with(mut self, allows: bool, actions: &[&str], resources: &[&str]) -> Self {
        self.statements.push(Statement {
            allows,
            actions: actions.iter().map(ToString::to_string).collect(),
            resources: resources.iter().map(ToString::to_string).collect(),
            conditions: Vec::new(),
        });
        self
    }
}

impl Statement {
    fn read(document: StatementDocument) -> Result<Self, MalformedPolicy> {
        let mut conditions = Vec::new();
        for (operator, keys) in document.condition.unwrap_or_default() {
            let (name, if_exists) = match operator.strip_suffix("IfExists") {
                Some(name) => (name, true),
                None => (operator.as_str(), false),
            };
            let test = match name {
                "StringEquals" => Test::Equals,
                "StringNotEquals" => Test::NotEquals,
                "StringLike" => Test::Like,
                "StringNotLike" => Test::NotLike,
                other => {
                    return Err(MalformedPolicy(format!("condition operator {other}")));
                }
            };
            for (key, values) in keys {
                conditions.push(Condition {
                    test,
                    if_exists,
                    key,
                    values: values.into_vec(),
                });
            }
        }
        Ok(Self {
            allows: matches!(document.effect, Effect::Allow),
            actions: document.action.into_vec(),
            resources: document.resource.into_vec(),
            conditions,
        })
    }

    fn covers(&self, asked: &Asked<'_>) -> bool {
        let action = asked.action.to_ascii_lowercase();
        let mut actions = self.actions.iter();
        let mut resources = self.resources.iter();
        actions.any(|pattern| glob(&pattern.to_ascii_lowercase(), &action))
            && resources.any(|pattern| glob(pattern, asked.resource))
            && self.conditions.iter().all(|c| c.holds(asked.context))
    }
}

impl Condition {
    /// An absent key fails a positive test and passes a negative one, as AWS documents it.
    fn holds(&self, context: &dyn Fn(&str) -> Option<String>) -> bool {
        let Some(actual) = context(&self.key) else {
            return self.if_exists || matches!(self.test, Test::NotEquals | Test::NotLike);
        };
        let mut values = self.values.iter();
        match self.test {
            Test::Equals => values.any(|value| *value == actual),
            Test::NotEquals => values.all(|value| *value != actual),
            Test::Like => values.any(|value| glob(value, &actual)),
            Test::NotLike => values.all(|value| !glob(value, &actual)),
        }
    }
}

/// `*` is any run of characters, `?` any one of them.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to resume when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(at_text) => {
                at_pattern += 1;
                at_text += 1;
            }
            Some(_) | None => {
                let Some((star_pattern, star_text)) = star else {
                    return false;
                };
                star = Some((star_pattern, star_text + 1));
                at_pattern = star_pattern + 1;
                at_text = star_text + 1;
            }
        }
    }
    pattern.iter().skip(at_pattern).all(|c| *c == '*')
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Document {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<StatementDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct StatementDocument {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
    condition: Option<BTreeMap<String, BTreeMap<String, OneOrMany<String>>>>,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(policy: &Policy, action: &str, resource: &str, prefix: Option<&str>) -> Verdict {
        policy.decide(&Asked {
            action,
            resource,
            context: &|key| (key == "s3:prefix").then_some(prefix?.to_owned()),
        })
    }

    #[test]
    fn stars_and_question_marks_match_as_aws_says() {
        assert!(glob("arn:aws:s3:::b/p/*", "arn:aws:s3:::b/p/x/y"));
        assert!(!glob("arn:aws:s3:::b/p/*", "arn:aws:s3:::b/q/x"));
        assert!(glob("a?c*e", "abcdde"));
        assert!(!glob("a?c", "ac"));
        assert!(glob("*", ""));
        assert!(glob("a*b*c", "a__b__b__c"));
        assert!(!glob("a*b*c", "a__c__c"));
    }

    #[test]
    fn a_denial_beats_an_allowance() {
        let json = r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/*"},
            {"Effect":"Deny","Action":["s3:Delete*"],"Resource":"*"}]}"#;
        let policy = Policy::parse(json).unwrap();
        let object = "arn:aws:s3:::b/k";
        assert_eq!(
            verdict(&policy, "s3:PutObject", object, None),
            Verdict::Allowed
        );
        assert_eq!(
            verdict(&policy, "s3:DeleteObject", object, None),
            Verdict::Denied
        );
        let elsewhere = "arn:aws:s3:::c/k";
        assert_eq!(
            verdict(&policy, "s3:PutObject", elsewhere, None),
            Verdict::Silent
        );
    }

    #[test]
    fn a_prefix_condition_needs_the_prefix() {
        let json = r#"{"Statement":{"Effect":"Allow","Action":"s3:ListBucket",
            "Resource":"arn:aws:s3:::b",
            "Condition":{"StringLike":{"s3:prefix":["p/*","q"]}}}}"#;
        let policy = Policy::parse(json).unwrap();
        let bucket = "arn:aws:s3:::b";
        let list = "s3:ListBucket";
        assert_eq!(
            verdict(&policy, list, bucket, Some("p/x")),
            Verdict::Allowed
        );
        assert_eq!(verdict(&policy, list, bucket, Some("q")), Verdict::Allowed);
        assert_eq!(verdict(&policy, list, bucket, Some("r")), Verdict::Silent);
        assert_eq!(verdict(&policy, list, bucket, None), Verdict::Silent);
    }

    #[test]
    fn what_would_have_to_be_ignored_is_refused() {
        let operator = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",
            "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}"#;
        let field =
            r#"{"Statement":{"Effect":"Allow","NotAction":"s3:*","Action":"s3:*","Resource":"*"}}"#;
        assert!(Policy::parse(operator).is_err());
        assert!(Policy::parse(field).is_err());
        assert!(Policy::parse("{").is_err());
    }
}
