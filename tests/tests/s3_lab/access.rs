//! Who is let in.

use chrono::TimeDelta;

use super::client::{Ask, Client};
use super::sts::{assume_role, session};
use super::{BUCKET, Fixture, ROLE};
use callferry_tests::s3::{Identity, Policy, Role};

#[tokio::test]
async fn only_registered_keys_with_their_secret_get_in() {
    let it = Fixture::start().await;
    let endpoint = it.lab.endpoint();
    let forger = Client::new(&endpoint, "AKIDOWNER", "guess");
    let refusal = forger.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (403, "SignatureDoesNotMatch".into()));
    let stranger = Client::new(&endpoint, "AKIDNOBODY", "secret");
    let refusal = stranger.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (403, "InvalidAccessKeyId".into()));
    let anonymous = it
        .owner
        .http
        .get(format!("{endpoint}/calls/k"))
        .send()
        .await;
    assert_eq!(anonymous.unwrap().status(), 403);
    let late = Ask::new("GET", "/calls/k").signed_ago(TimeDelta::minutes(20));
    let refusal = it.owner.send(late).await.refusal();
    assert_eq!(refusal, (403, "RequestTimeTooSkewed".into()));
    // An STS signature opens no bucket.
    let ask = Ask::new("GET", "/calls/k").service("sts");
    assert_eq!(it.owner.send(ask).await.status, 400);
    assert!(it.lab.remove_identity("AKIDOWNER"));
    assert_eq!(it.owner.get("/calls/k").await.status, 403);
}

#[tokio::test]
async fn amz_headers_must_be_signed() {
    let it = Fixture::start().await;
    let ask = Ask::new("PUT", "/calls/k").unsigned_header("x-amz-meta-added", "later");
    let answer = it.owner.send(ask.body(b"x")).await;
    assert_eq!(answer.refusal(), (403, "AccessDenied".into()));
    let ask = Ask::new("PUT", "/calls/k").unsigned_header("if-none-match", "*");
    assert_eq!(it.owner.send(ask.body(b"x")).await.status, 200);
}

#[tokio::test]
async fn base_identities_may_do_only_what_they_were_given() {
    let it = Fixture::start().await;
    let refusal = it.platform.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (403, "AccessDenied".into()));
    it.lab.create_bucket("default", "000000000000").unwrap();
    let own = Policy::bucket("default", "acme/", &["s3:PutObject", "s3:GetObject"]);
    let identity = Identity::new("AKIDPLATFORM", "platform-secret").named("callferry");
    it.lab.put_identity(identity.allowed(own));
    assert_eq!(it.platform.put("/default/acme/k", b"x").await.status, 200);
    assert_eq!(it.platform.put("/default/other/k", b"x").await.status, 403);
    assert_eq!(it.platform.put("/calls/k", b"x").await.status, 403);
    assert_eq!(it.platform.head("/default/acme/none").await.status, 404);
    let list = |prefix: &str| {
        let ask = Ask::new("GET", "/default").query("list-type", "2");
        it.platform.send(ask.query("prefix", prefix))
    };
    assert_eq!(list("acme/").await.status, 200);
    assert_eq!(list("").await.status, 403);
}

#[tokio::test]
async fn a_session_is_worth_nothing_without_its_token() {
    let it = Fixture::start().await;
    let answer = it.platform.sts(&assume_role()).await;
    let good = session(&it.platform, &answer);
    for token in [None, Some("bogus".to_owned())] {
        let bad = Client {
            token,
            ..good.clone()
        };
        let refusal = bad.put("/calls/k", b"x").await.refusal();
        assert_eq!(refusal, (400, "InvalidToken".into()));
    }
    let borrowed = Client {
        token: good.token.clone(),
        ..it.owner.clone()
    };
    let refusal = borrowed.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (400, "InvalidToken".into()));
    assert!(it.lab.objects(BUCKET).is_empty());
}

#[tokio::test]
async fn presigned_urls_open_one_object_for_their_time() {
    let it = Fixture::start().await;
    it.owner.put("/calls/k", b"bytes").await;
    it.owner.put("/calls/other", b"other").await;
    let answer = it.platform.sts(&assume_role()).await;
    for client in [it.owner.clone(), session(&it.platform, &answer)] {
        let get = |url: String| it.owner.http.get(url).send();
        let url = client.presigned("GET", "/calls/k", 300, TimeDelta::zero());
        let answer = get(url.clone()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.unwrap().as_ref(), b"bytes");
        let elsewhere = url.replace("/calls/k?", "/calls/other?");
        assert_eq!(get(elsewhere).await.unwrap().status(), 403);
        let expired = client.presigned("GET", "/calls/k", 60, TimeDelta::seconds(62));
        assert_eq!(get(expired).await.unwrap().status(), 403);
        let put = it.owner.http.put(url).body("x").send().await.unwrap();
        assert_eq!(put.status(), 403);
    }
    it.lab.expire_sessions();
}

#[tokio::test]
async fn every_operation_asks_for_its_own_action() {
    let it = Fixture::start().await;
    it.owner.put("/calls/k", b"x").await;
    let upload = it
        .owner
        .send(Ask::new("POST", "/calls/k").query("uploads", ""))
        .await;
    let id = upload.element("UploadId").unwrap();
    let object = |method: &str| Ask::new(method, "/calls/k");
    let bucket = |name: &str| Ask::new("GET", "/calls").query(name, "2");
    let of_upload = |method: &str| object(method).query("uploadId", &id);
    let list = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let needs = [
        ("s3:PutObject", object("PUT").body(b"x")),
        ("s3:PutObject", object("POST").query("uploads", "")),
        (
            "s3:PutObject",
            of_upload("PUT").query("partNumber", "1").body(b"x"),
        ),
        (
            "s3:PutObject",
            of_upload("POST").body(b"<CompleteMultipartUpload/>"),
        ),
        (
            "s3:PutObjectTagging",
            object("PUT").header("x-amz-tagging", "a=b").body(b"x"),
        ),
        ("s3:GetObject", object("GET")),
        ("s3:GetObject", object("HEAD")),
        (
            "s3:GetObjectVersion",
            object("GET").query("versionId", "null"),
        ),
        ("s3:ListMultipartUploadParts", of_upload("GET")),
        ("s3:AbortMultipartUpload", of_upload("DELETE")),
        ("s3:ListBucket", Ask::new("HEAD", "/calls")),
        ("s3:ListBucket", bucket("list-type")),
        ("s3:ListBucketVersions", bucket("versions")),
        ("s3:ListBucketMultipartUploads", bucket("uploads")),
        ("s3:GetBucketLocation", bucket("location")),
        (
            "s3:DeleteObjectVersion",
            object("DELETE").query("versionId", "null"),
        ),
        ("s3:DeleteObject", object("DELETE")),
    ];
    for (action, ask) in needs {
        let without = Policy::everything().deny(&[action], &["arn:aws:s3:::*"]);
        it.lab
            .put_role(Role::new(ROLE, without).trusting("callferry"));
        let answer = it.platform.sts(&assume_role()).await;
        let denied = session(&it.platform, &answer).send(ask).await;
        assert_eq!(denied.status, 403, "{action}");
    }
    let without = Policy::everything().deny(&["s3:DeleteObject"], &["arn:aws:s3:::*"]);
    it.lab
        .put_role(Role::new(ROLE, without).trusting("callferry"));
    let answer = it.platform.sts(&assume_role()).await;
    let ask = Ask::new("POST", "/calls").query("delete", "").body(list);
    let partly = session(&it.platform, &answer).send(ask).await;
    assert_eq!(partly.refusal(), (200, "AccessDenied".into()));
    assert_eq!(it.lab.objects(BUCKET).len(), 1);
}

#[tokio::test]
async fn a_condition_on_the_prefix_does_not_open_the_listing_of_uploads() {
    let it = Fixture::start().await;
    let conditioned = Policy::parse(
        r#"{"Statement":{"Effect":"Allow","Resource":"arn:aws:s3:::calls",
            "Action":["s3:ListBucket","s3:ListBucketMultipartUploads"],
            "Condition":{"StringLike":{"s3:prefix":"acme/*"}}}}"#,
    );
    let reader = Identity::new("AKIDREADER", "reader-secret").allowed(conditioned.unwrap());
    it.lab.put_identity(reader);
    let reader = Client::new(&it.lab.endpoint(), "AKIDREADER", "reader-secret");
    let list = |what| {
        Ask::new("GET", "/calls")
            .query(what, "2")
            .query("prefix", "acme/")
    };
    assert_eq!(reader.send(list("list-type")).await.status, 200);
    assert_eq!(reader.send(list("uploads")).await.status, 403);
}
