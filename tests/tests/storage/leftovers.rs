//! Open uploads in a customer's bucket: which are listed, that a listing is believed only whole,
//! and that nothing but what was named is aborted.

use std::collections::BTreeSet;
use std::time::Duration;

use recording::{Class, Leftovers, ObjectKey, OpenUpload, ParkReason, Writers};

use super::setting::{BUCKET, GRANTED, ROLE, Setting, s3};
use callferry_tests::s3::{Fault, FaultRule, Operation, Policy};

const HOUR: Duration = Duration::from_secs(3600);

async fn started() -> Setting {
    let mut it = Setting::start().await;
    it.destination.account_leads_key = true;
    s3(&mut it.destination).prefix = "in".to_owned();
    it
}

async fn listed(it: &Setting) -> Result<Vec<OpenUpload>, recording::Fault> {
    let account = "acme".parse().unwrap();
    let leftovers = it.stores.leftovers();
    leftovers.open_uploads(&it.destination, &account).await
}

async fn abort(it: &Setting, upload: &OpenUpload) -> Result<(), recording::Fault> {
    let account = "acme".parse().unwrap();
    let leftovers = it.stores.leftovers();
    leftovers.abort(&it.destination, &account, upload).await
}

fn begin(it: &Setting, key: &str) -> String {
    it.lab.begin_upload(BUCKET, key, HOUR).unwrap()
}

#[tokio::test]
async fn only_uploads_below_the_accounts_prefix_are_listed_with_their_age() {
    let it = started().await;
    assert_eq!(listed(&it).await, Ok(Vec::new()));
    let odd = "acme/in/call/a b+c&<ü>%2F\u{1}.wav";
    let ours = [begin(&it, "acme/in/a.wav"), begin(&it, odd)];
    for foreign in ["acme/out/a", "acme/int", "acmex/in/a", "beta/in/a", "a"] {
        begin(&it, foreign);
    }
    let uploads = listed(&it).await.unwrap();
    let keys: Vec<&str> = uploads.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["acme/in/a.wav", odd]);
    let ids: Vec<&str> = uploads.iter().map(|it| it.upload_id.as_str()).collect();
    assert_eq!(ids, ours);
    let age = recording::Clock::now(&super::setting::Clocks) - uploads[0].begun_at;
    assert!((3595..3700).contains(&age.num_seconds()), "{age}");
    let seen = it.lab.history().pop().unwrap();
    assert_eq!(seen.operation, Operation::ListMultipartUploads);
    let name = seen.caller.session_name.unwrap();
    assert!(name.starts_with("callferry-sweep-"), "{name}");
}

#[tokio::test]
async fn many_uploads_are_listed_page_by_page_also_where_one_key_has_many() {
    let it = started().await;
    let mut expected = BTreeSet::new();
    for number in 0..230 {
        expected.insert(begin(&it, "acme/in/many.wav"));
        expected.insert(begin(&it, &format!("acme/in/{number:03}")));
    }
    let uploads = listed(&it).await.unwrap();
    assert_eq!(uploads.len(), 460);
    let found: BTreeSet<String> = uploads.into_iter().map(|it| it.upload_id).collect();
    assert_eq!(found, expected);
    assert_eq!(it.lab.count(Operation::ListMultipartUploads), 3);
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_an_error_and_never_a_part_of_it() {
    let it = started().await;
    for number in 0..250 {
        begin(&it, &format!("acme/in/{number:03}"));
    }
    let faults = [
        Fault::ErrorBefore {
            status: 403,
            code: "AccessDenied".to_owned(),
        },
        Fault::ErrorInBodyAfter {
            code: "InternalError".to_owned(),
        },
        Fault::CloseBefore,
    ];
    for fault in faults {
        let rule = FaultRule::on(Operation::ListMultipartUploads, fault);
        let rule = it.lab.arm(rule.after(1));
        assert!(listed(&it).await.is_err());
        it.lab.clear_fault(rule);
    }
    assert_eq!(listed(&it).await.unwrap().len(), 250);
}

#[tokio::test]
async fn the_named_upload_is_aborted_and_nothing_else() {
    let it = started().await;
    let ids = ["acme/in/a", "acme/in/a", "acme/in/b", "beta/in/a"].map(|key| begin(&it, key));
    let open = || {
        let open = it.lab.open_uploads(BUCKET).into_iter();
        open.map(|it| it.id).collect::<BTreeSet<_>>()
    };
    let mut uploads = listed(&it).await.unwrap().into_iter();
    let upload = uploads.find(|it| it.upload_id == ids[0]).unwrap();
    // The second time it is unknown, which is as good as aborted.
    for _ in 0..2 {
        abort(&it, &upload).await.unwrap();
        assert_eq!(open(), ids[1..].iter().cloned().collect());
    }
    // What is not the account's is refused before any request.
    it.lab.clear_history();
    let foreign = OpenUpload {
        key: ObjectKey::remembered("beta/in/a".to_owned()),
        upload_id: ids[3].clone(),
        ..upload
    };
    let fault = abort(&it, &foreign).await.unwrap_err();
    assert_eq!(fault.class(), Class::Permanent);
    assert!(it.lab.history().is_empty());
    assert!(open().contains(&ids[3]));
}

#[tokio::test]
async fn the_session_alone_keeps_the_sweep_from_what_is_not_the_accounts() {
    let mut it = started().await;
    let all = Policy::everything();
    assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
    let endpoint = it.lab.endpoint();
    let tap = super::tap::Tap::start(it.lab.address()).await;
    it.stores = super::setting::stores(storage::StoreSettings {
        sts_endpoint: Some(tap.endpoint.clone()),
        ..super::setting::settings(&endpoint)
    });
    let theirs = begin(&it, "beta/in/a");
    listed(&it).await.unwrap();
    let newest = |name| tap.elements(name).pop().unwrap();
    let (key, secret) = (newest("AccessKeyId"), newest("SecretAccessKey"));
    let mut thief = super::client::Client::new(&endpoint, &key, &secret);
    thief.token = Some(newest("SessionToken"));
    it.lab.overwrite_object(BUCKET, "acme/in/k", b"x").unwrap();
    let ask = super::client::Ask::new;
    let mine = format!("/{BUCKET}/acme/in/k");
    let refused = [
        ask("DELETE", &format!("/{BUCKET}/beta/in/a")).query("uploadId", &theirs),
        ask("PUT", &mine).body(b"y"),
        ask("GET", &mine),
        ask("DELETE", &mine),
        ask("POST", &mine).query("uploads", ""),
        ask("GET", &format!("/{BUCKET}")).query("list-type", "2"),
    ];
    for ask in refused {
        assert_eq!(thief.send(ask).await.status, 403);
    }
    assert_eq!(it.lab.open_uploads(BUCKET).len(), 1);
}

#[tokio::test]
async fn a_denial_is_a_fault_of_the_destination_and_not_an_empty_bucket() {
    let mut it = started().await;
    begin(&it, "acme/in/a");
    let upload = listed(&it).await.unwrap().remove(0);
    let listing_only = Policy::bucket(BUCKET, "", &["s3:PutObject"]);
    assert!(
        it.lab
            .change_role(ROLE, |role| role.permissions = listing_only)
    );
    let fault = abort(&it, &upload).await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    let objects = "arn:aws:s3:::calls/*";
    let objects_only = Policy::none().allow(&GRANTED, &[objects]);
    assert!(
        it.lab
            .change_role(ROLE, |role| role.permissions = objects_only)
    );
    let fault = listed(&it).await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    assert_eq!(it.lab.open_uploads(BUCKET).len(), 1);

    let all = Policy::everything();
    assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
    s3(&mut it.destination).bucket = "none".to_owned();
    let fault = listed(&it).await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::BucketMissing);
}

#[tokio::test]
async fn an_upload_is_given_up_by_the_writers_own_session() {
    let it = started().await;
    let id = begin(&it, "acme/in/a");
    let account = "acme".parse().unwrap();
    let key = ObjectKey::remembered("acme/in/a".to_owned());
    let writers = it.stores.writers();
    for _ in 0..2 {
        let given_up = writers.give_up(&it.destination, &account, &key, &id).await;
        assert_eq!(given_up, Ok(()));
    }
    assert_eq!(it.lab.open_uploads(BUCKET).len(), 0);
}
