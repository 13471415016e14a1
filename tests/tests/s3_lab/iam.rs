//! Who one is, and roles as a customer's administrator makes them.

use super::client::{Ask, Client};
use super::sts::{assume_role, session};
use super::{EXTERNAL_ID, Fixture, OWNER, ROLE};
use callferry_tests::s3::{Identity, Policy};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"AWS":"arn:aws:iam::444455556666:role/callferry"},"Action":"sts:AssumeRole",
    "Condition":{"StringEquals":{"sts:ExternalId":"cf-0815"}}}]}"#;
const PERMISSIONS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Stores",
    "Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::mine/*"}]}"#;

/// An administrator of the customer's account, and us as a machine with a role.
fn people(it: &Fixture) -> (Client, Client) {
    let everything = Policy::none().allow(&["s3:*", "iam:*"], &["*"]);
    let administrator = Identity::new("AKIDADMIN", "admin-secret").named("administrator");
    let administrator = administrator.of_account(OWNER).allowed(everything);
    it.lab.put_identity(administrator);
    let us = Identity::new("AKIDROLE", "role-secret").named("callferry");
    it.lab
        .put_identity(us.of_account("444455556666").in_session("i-1"));
    let endpoint = it.lab.endpoint();
    (
        Client::new(&endpoint, "AKIDADMIN", "admin-secret"),
        Client::new(&endpoint, "AKIDROLE", "role-secret"),
    )
}

fn call<'a>(action: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut parameters = vec![("Action", action), ("Version", "2010-05-08")];
    parameters.push(("RoleName", "made"));
    parameters.extend(more);
    parameters
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let it = Fixture::start().await;
    let (_, us) = people(&it);
    let ask = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    let user = it.platform.sts(&ask).await;
    let arn = "arn:aws:iam::000000000000:user/callferry";
    assert_eq!(user.element("Arn").as_deref(), Some(arn), "{}", user.text());
    let arn = "arn:aws:sts::444455556666:assumed-role/callferry/i-1";
    assert_eq!(us.sts(&ask).await.element("Arn").as_deref(), Some(arn));
    let assumed = it.platform.sts(&assume_role()).await;
    let session = session(&it.platform, &assumed);
    let arn = session.sts(&ask).await.element("Arn");
    let role = ROLE.rsplit('/').next().unwrap();
    let expected = format!("arn:aws:sts::{OWNER}:assumed-role/{role}/");
    assert!(arn.clone().unwrap().starts_with(&expected), "{arn:?}");
    let nobody = Client::new(&it.lab.endpoint(), "AKIDNONE", "x");
    assert_eq!(nobody.sts(&ask).await.status, 403);
}

#[tokio::test]
async fn a_role_is_made_by_its_documents_and_works_as_they_say() {
    let it = Fixture::start().await;
    let (administrator, us) = people(&it);
    let missing = administrator.form("iam", &call("GetRole", &[])).await;
    assert_eq!(missing.refusal(), (404, "NoSuchEntity".to_owned()));
    let create = call("CreateRole", &[("AssumeRolePolicyDocument", TRUST)]);
    let created = administrator.form("iam", &create).await;
    let arn = format!("arn:aws:iam::{OWNER}:role/made");
    assert_eq!(
        created.element("Arn").as_deref(),
        Some(&*arn),
        "{}",
        created.text()
    );
    let again = administrator.form("iam", &create).await;
    assert_eq!(again.refusal(), (409, "EntityAlreadyExists".to_owned()));
    let policy = [("PolicyName", "p"), ("PolicyDocument", PERMISSIONS)];
    let put = administrator
        .form("iam", &call("PutRolePolicy", &policy))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    let made = administrator.send(Ask::new("PUT", "/mine")).await;
    assert_eq!(made.status, 200, "{}", made.text());

    let mut assume: Vec<(&str, &str)> = assume_role();
    assume.retain(|(name, _)| !["RoleArn", "ExternalId"].contains(name));
    assume.push(("RoleArn", &arn));
    assert_eq!(us.sts(&assume).await.status, 403, "without the external id");
    assume.push(("ExternalId", "cf-0815"));
    let session = session(&us, &us.sts(&assume).await);
    assert_eq!(session.put("/mine/k", b"x").await.status, 200);
    assert_eq!(session.get("/mine/k").await.status, 403);
    assert_eq!(
        it.platform.sts(&assume).await.status,
        403,
        "somebody else's identity"
    );
    assert_ne!(EXTERNAL_ID, "cf-0815");
}

#[tokio::test]
async fn nobody_makes_roles_without_being_allowed_and_a_true_signature() {
    let it = Fixture::start().await;
    let (administrator, us) = people(&it);
    let create = call("CreateRole", &[("AssumeRolePolicyDocument", TRUST)]);
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(us.form("iam", &create).await.refusal(), denied);
    assert_eq!(it.owner.form("iam", &create).await.refusal(), denied);
    let forged = Client {
        secret: "guessed".to_owned(),
        ..administrator.clone()
    };
    let refused = (403, "SignatureDoesNotMatch".to_owned());
    assert_eq!(forged.form("iam", &create).await.refusal(), refused);
    let open = TRUST.replace("arn:aws:iam::444455556666:role/callferry", "*");
    let create = call("CreateRole", &[("AssumeRolePolicyDocument", &open)]);
    let malformed = (400, "MalformedPolicyDocument".to_owned());
    assert_eq!(
        administrator.form("iam", &create).await.refusal(),
        malformed
    );
}
