//! Temporary credentials.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::client::{Answer, Client};
use super::{BUCKET, EXTERNAL_ID, Fixture, ROLE};
use callferry_tests::s3::{Operation, Policy};

type Parameters<'a> = Vec<(&'a str, &'a str)>;

pub(crate) fn assume_role() -> Parameters<'static> {
    vec![
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "callferry-write-0123456789ab"),
        ("ExternalId", EXTERNAL_ID),
    ]
}

fn with<'a>(name: &'a str, value: &'a str) -> Parameters<'a> {
    let mut parameters: Parameters<'a> = assume_role();
    parameters.retain(|(key, _)| *key != name);
    parameters.push((name, value));
    parameters
}

/// The client that the answer's credentials make.
pub(crate) fn session(platform: &Client, answer: &Answer) -> Client {
    assert_eq!(answer.status, 200, "{}", answer.text());
    Client {
        key: answer.element("AccessKeyId").unwrap(),
        secret: answer.element("SecretAccessKey").unwrap(),
        token: Some(answer.element("SessionToken").unwrap()),
        ..platform.clone()
    }
}

#[tokio::test]
async fn a_trusted_caller_with_the_external_id_gets_working_credentials() {
    let it = Fixture::start().await;
    let answer = it.platform.sts(&with("DurationSeconds", "900")).await;
    let session = session(&it.platform, &answer);
    assert!(session.key.starts_with("ASIA"));
    let arn = answer.element("Arn").unwrap();
    let expected = "arn:aws:sts::111122223333:assumed-role/recordings/callferry-write-0123456789ab";
    assert_eq!(arn, expected);
    let expires: DateTime<Utc> = answer.element("Expiration").unwrap().parse().unwrap();
    let seen = it.lab.history();
    // The answer names whole seconds, and counts from when it was made.
    let life = (expires - seen[0].at).to_std().unwrap();
    let latest = Duration::from_secs(900) + seen[0].took;
    assert!((Duration::from_secs(899)..=latest).contains(&life));
    assert_eq!(session.put("/calls/k", b"x").await.status, 200);

    assert_eq!(it.lab.count(Operation::AssumeRole), 1);
    assert_eq!(seen[0].key.as_deref(), Some(ROLE));
    assert_eq!(seen[0].caller.identity.as_deref(), Some("callferry"));
    let put = &it.lab.history()[1];
    assert_eq!(put.operation, Operation::PutObject);
    assert_eq!(put.caller.role_arn.as_deref(), Some(ROLE));
    let name = put.caller.session_name.as_deref();
    assert_eq!(name, Some("callferry-write-0123456789ab"));
}

#[tokio::test]
async fn nobody_gets_in_without_trust_and_the_right_external_id() {
    let it = Fixture::start().await;
    let mut without: Parameters<'_> = assume_role();
    without.retain(|(name, _)| *name != "ExternalId");
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(it.platform.sts(&without).await.refusal(), denied);
    let wrong = it.platform.sts(&with("ExternalId", "cf-0815")).await;
    assert_eq!(wrong.refusal(), denied);
    let unknown = with("RoleArn", "arn:aws:iam::111122223333:role/none");
    assert_eq!(it.platform.sts(&unknown).await.refusal(), denied);
    assert_eq!(it.owner.sts(&assume_role()).await.refusal(), denied);

    let changed = |role: &mut callferry_tests::s3::Role| role.external_id = Some("new".into());
    assert!(it.lab.change_role(ROLE, changed));
    assert_eq!(it.platform.sts(&assume_role()).await.refusal(), denied);
    assert_eq!(
        it.platform.sts(&with("ExternalId", "new")).await.status,
        200
    );
    assert!(it.lab.remove_role(ROLE));
    let removed = it.platform.sts(&with("ExternalId", "new")).await;
    assert_eq!(removed.refusal(), denied);
}

#[tokio::test]
async fn parameters_out_of_form_are_refused() {
    let it = Fixture::start().await;
    let long = format!("{{\"Statement\":[],\"Id\":\"{}\"}}", "x".repeat(2048));
    let bad = [
        ("RoleSessionName", "with space", "ValidationError"),
        ("RoleSessionName", "x", "ValidationError"),
        ("DurationSeconds", "899", "ValidationError"),
        ("DurationSeconds", "3601", "ValidationError"),
        ("RoleArn", "recordings", "ValidationError"),
        ("Policy", long.as_str(), "ValidationError"),
        ("Policy", "{", "MalformedPolicyDocument"),
        ("Version", "2010-01-01", "InvalidAction"),
    ];
    for (name, value, code) in bad {
        let answer = it.platform.sts(&with(name, value)).await;
        assert_eq!(answer.refusal(), (400, code.into()), "{name}={value}");
        assert!(answer.text().starts_with("<ErrorResponse"));
    }
}

#[tokio::test]
async fn sts_checks_signatures_in_its_own_words() {
    let it = Fixture::start().await;
    let stranger = Client::new(&it.lab.endpoint(), "AKIDNOBODY", "secret");
    let refusal = stranger.sts(&assume_role()).await.refusal();
    assert_eq!(refusal, (403, "InvalidClientTokenId".into()));
    let forger = Client::new(&it.lab.endpoint(), "AKIDPLATFORM", "guess");
    let answer = forger.sts(&assume_role()).await;
    assert_eq!(answer.refusal(), (403, "SignatureDoesNotMatch".into()));
    assert!(answer.text().starts_with("<ErrorResponse"));
    let request = it.platform.http.post(format!("{}/", it.lab.endpoint()));
    let answer = request.body("Action=AssumeRole").send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn sessions_end_when_they_are_told_to() {
    let it = Fixture::start().await;
    it.lab
        .force_session_lifetime(Some(Duration::from_millis(300)));
    let answer = it.platform.sts(&assume_role()).await;
    let short = session(&it.platform, &answer);
    loop {
        let answer = short.put("/calls/k", b"x").await;
        if answer.status != 200 {
            assert_eq!(answer.refusal(), (400, "ExpiredToken".into()));
            break;
        }
    }
    it.lab.force_session_lifetime(None);
    let answer = it.platform.sts(&assume_role()).await;
    let long = session(&it.platform, &answer);
    assert_eq!(long.put("/calls/k", b"x").await.status, 200);
    it.lab.expire_sessions();
    let refusal = long.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (400, "ExpiredToken".into()));
}

#[tokio::test]
async fn a_session_may_do_what_both_role_and_session_policy_allow() {
    let it = Fixture::start().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["s3:PutObject","s3:GetObject","s3:DeleteObject"],
         "Resource":"arn:aws:s3:::calls/acme/*"},
        {"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::calls/acme/locked-*"},
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::calls",
         "Condition":{"StringLike":{"s3:prefix":"acme/*"}}}]}"#;
    let answer = it.platform.sts(&with("Policy", policy)).await;
    let narrow = session(&it.platform, &answer);
    assert_eq!(narrow.put("/calls/acme/k", b"x").await.status, 200);
    let denied = (403, "AccessDenied".to_owned());
    // Not in the session policy; denied there; not in the role; another bucket.
    assert_eq!(narrow.put("/calls/other/k", b"x").await.refusal(), denied);
    assert_eq!(
        narrow.put("/calls/acme/locked-1", b"x").await.refusal(),
        denied
    );
    assert_eq!(narrow.delete("/calls/acme/k").await.refusal(), denied);
    it.lab.create_bucket("foreign", "444455556666").unwrap();
    assert_eq!(narrow.put("/foreign/acme/k", b"x").await.refusal(), denied);
    // Missing keys are told apart only where listing is allowed.
    assert_eq!(narrow.head("/calls/acme/none").await.status, 404);
    assert_eq!(narrow.head("/calls/other/none").await.status, 403);

    // Roles are asked at every request, not when the session begins.
    let forbid = |role: &mut callferry_tests::s3::Role| {
        let everything = "arn:aws:s3:::*";
        role.permissions = role
            .permissions
            .clone()
            .deny(&["s3:PutObject"], &[everything]);
    };
    it.lab.change_role(ROLE, forbid);
    assert_eq!(narrow.put("/calls/acme/k2", b"x").await.refusal(), denied);
    assert_eq!(narrow.get("/calls/acme/k").await.status, 200);
    let own = |role: &mut callferry_tests::s3::Role| role.permissions = Policy::everything();
    it.lab.change_role(ROLE, own);
    assert_eq!(narrow.delete("/calls/acme/k").await.status, 204);
    it.lab.remove_role(ROLE);
    assert_eq!(narrow.get("/calls/acme/k").await.refusal(), denied);
    assert!(it.lab.objects(BUCKET).is_empty());
}
