//! IAM, on the same port: the few calls with which a customer's administrator makes a role and says
//! who may assume it and what it may do. Answers are IAM's, so that the AWS command line works.
//!
//! A role has one policy here: `PutRolePolicy` puts it in place of the one before.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::identity::{Directory, Role};
use super::policy::{Asked, MalformedPolicy, Policy};
use super::signature;
use super::sts::{Refusal, error_document, invalid, parameter};

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Answers one call: the signature first, which the library checks for S3 and STS only.
pub(super) fn respond(
    directory: &Directory,
    headers: &HeaderMap,
    form: &Bytes,
) -> (StatusCode, String) {
    let signed = signature::key(headers).filter(|key| {
        let secret = directory.secret(key);
        secret.is_some_and(|secret| signature::is_right(headers, form, secret.expose()))
    });
    let answered = match signed {
        Some(key) => answer(directory, key, form),
        None => Err(refusal(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The signature is of nobody here, or of another request".to_owned(),
        )),
    };
    match answered {
        Ok(document) => (StatusCode::OK, document),
        Err(refusal) => {
            let document = error_document(refusal.code, &refusal.message);
            (refusal.status, document)
        }
    }
}

/// Answers one call of whoever signed with this key.
fn answer(directory: &Directory, key: &str, form: &Bytes) -> Result<String, Refusal> {
    let required = |name: &str| {
        let value = parameter(form, name);
        value.ok_or_else(|| invalid(format!("{name} is missing")))
    };
    let (action, name) = (required("Action")?, required("RoleName")?);
    let (account, _) = directory.who(key).unwrap_or_default();
    let path = parameter(form, "Path").unwrap_or_else(|| "/".to_owned());
    let known = directory.role_named(&account, &name);
    let arn = match &known {
        Some(role) => role.arn.clone(),
        None => format!("arn:aws:iam::{account}:role{path}{name}"),
    };
    let asked = Asked {
        action: &format!("iam:{action}"),
        resource: &arn,
        context: &|_| None,
    };
    if !directory.allows(key, &asked) {
        let message = format!("not authorized to perform: iam:{action} on resource: {arn}");
        return Err(refusal(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let existing = || {
        let message = format!("The role with name {name} cannot be found.");
        known
            .clone()
            .ok_or_else(|| refusal(StatusCode::NOT_FOUND, "NoSuchEntity", message))
    };
    match action.as_str() {
        "GetRole" => Ok(told(&action, &existing()?)),
        "CreateRole" if known.is_some() => {
            let message = format!("Role with name {name} already exists.");
            Err(refusal(
                StatusCode::CONFLICT,
                "EntityAlreadyExists",
                message,
            ))
        }
        "CreateRole" => {
            let mut role = Role::new(&arn, Policy::none());
            role.trust(&required("AssumeRolePolicyDocument")?)
                .map_err(malformed)?;
            directory.put_role(role.clone());
            Ok(told(&action, &role))
        }
        "UpdateAssumeRolePolicy" => {
            let mut role = existing()?;
            role.trust(&required("PolicyDocument")?)
                .map_err(malformed)?;
            directory.put_role(role);
            Ok(done(&action))
        }
        "PutRolePolicy" => {
            let mut role = existing()?;
            let document = required("PolicyDocument")?;
            role.permissions = Policy::parse(&document).map_err(malformed)?;
            directory.put_role(role);
            Ok(done(&action))
        }
        _ => Err(refusal(
            StatusCode::BAD_REQUEST,
            "InvalidAction",
            format!("{action} is not emulated"),
        )),
    }
}

fn malformed(error: MalformedPolicy) -> Refusal {
    refusal(
        StatusCode::BAD_REQUEST,
        "MalformedPolicyDocument",
        error.to_string(),
    )
}

fn refusal(status: StatusCode, code: &'static str, message: String) -> Refusal {
    Refusal {
        status,
        code,
        message,
    }
}

fn metadata() -> String {
    let id = Uuid::new_v4();
    format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>")
}

fn done(action: &str) -> String {
    let metadata = metadata();
    format!("<{action}Response xmlns=\"{NAMESPACE}\">{metadata}</{action}Response>")
}

fn told(action: &str, role: &Role) -> String {
    let (arn, name, metadata) = (&role.arn, role.name(), metadata());
    let path = arn.split_once(":role").map_or("/", |(_, path)| path);
    let path = path.strip_suffix(name).unwrap_or("/");
    let trust = utf8_percent_encode("{}", NON_ALPHANUMERIC);
    format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result><Role><Path>{path}</Path>\
         <RoleName>{name}</RoleName><RoleId>AROALABORATORYROLE</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2026-11-22T10:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument></Role></{action}Result>\
         {metadata}</{action}Response>"
    )
}
