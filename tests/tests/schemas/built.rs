//! What the code publishes: every event that it builds fits its schema, and the published
//! examples are, field by field, what it builds.

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, Utc};
use custody::{ReceiptKeys, TrustedKeys};
use proptest::prelude::*;
use recording::{
    Announced, AzureContainer, AzureIdentity, Block, Capability, CheckedWrite, Crc64Nvme,
    Destination, DestinationOwner, Digests, Expected, ExpiryReason, Finding, HealthAnnouncement,
    Identity, Incoming, Method, Observed, Outgoing, ParkReason, Queue, ReceiptSigner, Record,
    Recording, RecordingKey, Route, S3Bucket, S3Options, Secret, Sha256, Statement, Store, Stored,
    Verdict, due, expired, health_changed, parked, parse, released, stored,
};
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{assert_fits, bytes, deliver, document, files, validator};

fn announced(example: &str) -> Announced {
    let body = bytes(&format!("examples/valid/{example}"));
    match parse(&deliver(body)) {
        Ok(Incoming::Completed(announced, _)) => *announced,
        other => panic!("{example}: {other:?}"),
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn key() -> RecordingKey {
    announced("recording.completed.v1.json").key
}

fn bucket() -> Store {
    Store::S3(S3Bucket {
        bucket: "acme-recordings".into(),
        region: "eu-central-1".into(),
        role_arn: Some("arn:aws:iam::123456789012:role/callferry".into()),
        endpoint: None,
        prefix: "calls".into(),
        kms_key: None,
        storage_class: None,
        expected_owner: Some("123456789012".into()),
        options: S3Options::default(),
    })
}

fn container() -> Store {
    Store::Azure(AzureContainer {
        storage_account: "acmerecordings".into(),
        container: "calls".into(),
        endpoint: None,
        prefix: String::new(),
        identity: AzureIdentity::Sas {
            sas_token: Secret::new("sig=x".into()),
        },
    })
}

fn destination(store: Store) -> Destination {
    Destination {
        owner: DestinationOwner::Account("acme".parse().unwrap()),
        revision: 12,
        credential_revision: 12,
        store,
        external_id: Some("x".into()),
        account_leads_key: false,
    }
}

/// What the store reports, besides size and bytes.
struct Look {
    etag: String,
    version_id: Option<String>,
    content_md5: Option<String>,
    evidence: Method,
}

/// A recording that was stored the ordinary way: recalled, proven, recorded.
fn stored_after(announced: Announced, look: Look, id: Uuid, now: DateTime<Utc>) -> Stored {
    let sha256 = announced.original.sha256;
    let digests = Digests {
        size_bytes: announced.original.size_bytes,
        sha256: sha256.unwrap_or(Sha256::new([0xab; 32])),
        crc64nvme: Crc64Nvme::new(0x2b6b_1d1f_0c4e_8a97),
    };
    let names = [
        ("callferry-account", announced.key.account_id.to_string()),
        (
            "callferry-recording",
            announced.key.recording_id.to_string(),
        ),
    ];
    let block = Block {
        id: "AAAA".into(),
        size_bytes: digests.size_bytes,
    };
    let blocks = (look.evidence == Method::BlockList).then(|| vec![block]);
    let sent = matches!(look.evidence, Method::SentChecksum | Method::BlockList);
    let sent = sent.then(|| CheckedWrite {
        etag: look.etag.clone(),
        content_md5: look.content_md5.clone(),
        blocks: blocks.clone(),
    });
    let reports_checksum = look.evidence == Method::ReportedChecksum;
    let observed = Observed {
        size_bytes: digests.size_bytes,
        crc64nvme: reports_checksum.then_some(digests.crc64nvme),
        etag: look.etag,
        version_id: look.version_id,
        content_md5: look.content_md5,
        blocks,
        metadata: BTreeMap::from(names.map(|(name, value)| (name.to_owned(), value))),
        read_back: (look.evidence == Method::ReadBack).then_some(digests),
    };
    let in_azure = sent.is_some();
    let expected = Expected {
        digests,
        sent,
        first_look: None,
    };
    let proof = expected.verify(&announced, observed).unwrap();
    let identity = Identity {
        size_bytes: digests.size_bytes,
        mtime_ns: 1,
        inode: 1,
        entity: None,
    };
    let store = if in_azure { container() } else { bucket() };
    let Recording::Staged(staged) = recall(announced, store) else {
        panic!("a staged row is recalled as something else");
    };
    staged.stored(&proof, identity, id, now)
}

#[expect(
    clippy::disallowed_methods,
    reason = "stands in for the catalog, the only place a staged recording comes from"
)]
fn recall(announced: Announced, store: Store) -> Recording {
    Recording::recall(Record::Staged {
        announced,
        destination: destination(store),
        retain_until: None,
    })
}

/// A destination that fails, as its last check saw it.
fn unhealthy(id: Uuid, at: DateTime<Utc>, reason: ParkReason) -> HealthAnnouncement {
    let remedy = "allow the role s3:PutObject on arn:aws:s3:::acme-recordings/calls/*";
    HealthAnnouncement {
        id,
        at,
        owner: DestinationOwner::Account("acme".parse().unwrap()),
        revision: 12,
        location: bucket().location(),
        reason: Some(reason),
        recordings_waiting: 57,
        findings: vec![Finding {
            capability: Capability::Put,
            verdict: Verdict::Failed,
            detail: "PUT was answered 403 AccessDenied".into(),
            reason: Some(reason),
            missing: Vec::new(),
            remedy: Some(remedy.into()),
        }],
        secret_expires_at: None,
    }
}

/// The acknowledgment with a receipt under the key of RFC 8037, appendix A, which everybody has.
fn signed(copy: &Stored) -> Outgoing {
    let id = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let key = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("current = '{id}'\n[keys.{id}]\nprivate = '{key}'\n");
    file.write_all(text.as_bytes()).unwrap();
    let keys = ReceiptKeys::load(file.path()).unwrap();
    let receipt = keys.sign(&Statement::stored(copy)).unwrap();
    let published = String::from_utf8(bytes("examples/receipt-keys.json")).unwrap();
    let published = TrustedKeys::read(&published).unwrap();
    let event = stored(copy, Some(&receipt));
    let verified = custody::found_in(&event.body, &published).unwrap();
    assert_eq!(verified.statement, Statement::stored(copy));
    event
}

fn body(event: &Outgoing) -> Value {
    let value: Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(value["id"], event.message_id.as_str());
    value
}

/// The event as the example shows it, with the example's id.
#[track_caller]
fn assert_is_example(example: &str, build: impl FnOnce(Uuid, DateTime<Utc>) -> Outgoing) {
    let expected = document(&format!("examples/valid/{example}"));
    let id: Uuid = expected["id"].as_str().unwrap().parse().unwrap();
    let built = build(id, time(expected["time"].as_str().unwrap()));
    assert_eq!(body(&built), expected, "{example}");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
fn the_published_examples_are_what_the_code_builds() {
    assert_is_example("recording.stored.v1.json", |id, at| {
        let look = Look {
            etag: "9b2cf535f27731c974343645a3985328".into(),
            version_id: Some("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".into()),
            content_md5: None,
            evidence: Method::ReportedChecksum,
        };
        signed(&stored_after(
            announced("recording.completed.v1.json"),
            look,
            id,
            at,
        ))
    });
    assert_is_example("recording.stored.v1.read_back.json", |id, at| {
        let look = Look {
            etag: "9b2cf535f27731c974343645a3985328".into(),
            version_id: None,
            content_md5: None,
            evidence: Method::ReadBack,
        };
        let mut announced = announced("recording.completed.v1.json");
        announced.attributes.clear();
        stored(&stored_after(announced, look, id, at), None)
    });
    for (example, evidence, content_md5) in [
        (
            "recording.stored.v1.sent_checksum.json",
            Method::SentChecksum,
            Some("CY9rzUYh03PK3k6DJie09g==".to_owned()),
        ),
        (
            "recording.stored.v1.block_list.json",
            Method::BlockList,
            None,
        ),
    ] {
        assert_is_example(example, |id, at| {
            let look = Look {
                etag: "\"0x8DD0B5A1C0E4F7A\"".into(),
                version_id: None,
                content_md5,
                evidence,
            };
            let announced = announced("recording.completed.v1.json");
            stored(&stored_after(announced, look, id, at), None)
        });
    }
    assert_is_example("recording.parked.v1.json", |id, at| {
        let next = time("2026-11-22T10:00:36.5Z");
        parked(&key(), id, at, ParkReason::AccessDenied, Some(next))
    });
    assert_is_example("recording.parked.v1.for_a_person.json", |id, at| {
        parked(&key(), id, at, ParkReason::ForeignObject, None)
    });
    assert_is_example("recording.released.v1.json", |id, at| {
        released(&key(), id, at)
    });
    for (name, why) in [
        ("recording.expired.v1.json", ExpiryReason::Retention),
        ("recording.expired.v1.erasure.json", ExpiryReason::Erasure),
    ] {
        assert_is_example(name, |id, at| expired(&key(), (id, at), why, None));
    }
    assert_is_example("destination.unhealthy.v1.json", |id, at| {
        health_changed(&unhealthy(id, at, ParkReason::AccessDenied))
    });
    assert_is_example("destination.unhealthy.v1.secret_expired.json", |id, at| {
        health_changed(&HealthAnnouncement {
            owner: DestinationOwner::Default,
            revision: 7,
            location: container().location(),
            recordings_waiting: 0,
            findings: Vec::new(),
            secret_expires_at: Some(time("2026-11-22T10:00:00Z")),
            ..unhealthy(id, at, ParkReason::CredentialRefused)
        })
    });
    assert_is_example("destination.healthy.v1.json", |id, at| {
        health_changed(&HealthAnnouncement {
            reason: None,
            recordings_waiting: 56,
            findings: Vec::new(),
            ..unhealthy(id, at, ParkReason::AccessDenied)
        })
    });
    assert_is_example("transfer.due.v1.json", |id, at| {
        due(Queue::Transfer, &key(), id, at)
    });
    assert_is_example("cleanup.due.v1.json", |id, at| {
        due(Queue::Cleanup, &key(), id, at)
    });
}

#[test]
fn every_event_goes_where_the_contract_says() {
    let now = time("2026-11-22T10:00:00Z");
    let look = Look {
        etag: "e".into(),
        version_id: None,
        content_md5: None,
        evidence: Method::ReportedChecksum,
    };
    let copy = stored_after(
        announced("recording.completed.v1.json"),
        look,
        Uuid::nil(),
        now,
    );
    let topics = [
        (stored(&copy, None), "recording.stored.v1"),
        (
            parked(&key(), Uuid::nil(), now, ParkReason::Throttled, None),
            "recording.parked.v1",
        ),
        (released(&key(), Uuid::nil(), now), "recording.released.v1"),
        (
            expired(&key(), (Uuid::nil(), now), ExpiryReason::Retention, None),
            "recording.expired.v1",
        ),
        (
            health_changed(&unhealthy(Uuid::nil(), now, ParkReason::BucketMissing)),
            "destination.unhealthy.v1",
        ),
        (
            health_changed(&HealthAnnouncement {
                reason: None,
                ..unhealthy(Uuid::nil(), now, ParkReason::BucketMissing)
            }),
            "destination.healthy.v1",
        ),
    ];
    for (event, routing_key) in topics {
        assert_eq!(event.route, Route::Topic(routing_key));
        assert_eq!(body(&event)["type"], format!("callferry.{routing_key}"));
    }
    for (queue, stem) in [
        (Queue::Transfer, "transfer.due.v1"),
        (Queue::Cleanup, "cleanup.due.v1"),
    ] {
        let event = due(queue, &key(), Uuid::nil(), now);
        assert_eq!(event.route, Route::Queue(queue));
        assert_eq!(body(&event)["type"], format!("callferry.{stem}"));
    }
}

#[test]
fn every_reason_that_parks_can_be_published() {
    let now = time("2026-11-22T10:00:00Z");
    for reason in ParkReason::ALL {
        for next in [None, Some(now)] {
            let event = parked(&key(), Uuid::nil(), now, *reason, next);
            assert_fits("recording.parked.v1", &body(&event));
        }
        let event = health_changed(&unhealthy(Uuid::nil(), now, *reason));
        assert_fits("destination.unhealthy.v1", &body(&event));
    }
}

#[test]
fn every_valid_announcement_leads_to_an_acknowledgment_that_fits_and_is_understood() {
    let completed = files("examples/valid");
    let completed = completed
        .iter()
        .filter(|name| name.starts_with("recording.completed."));
    for name in completed {
        for evidence in Method::ALL {
            let look = Look {
                etag: String::new(),
                version_id: None,
                content_md5: (evidence == Method::SentChecksum).then(String::new),
                evidence,
            };
            let now = time("2026-11-22T10:00:07.123456789Z");
            let copy = stored_after(announced(name), look, Uuid::nil(), now);
            let event = stored(&copy, None);
            assert_fits("recording.stored.v1", &body(&event));
            match parse(&deliver(event.body)) {
                Ok(Incoming::Stored(read)) => {
                    assert_eq!(read.key, copy.announced().key);
                    assert_eq!(&read.receipt, copy.receipt(), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The times, ids and opaque words of others cannot make an event of ours break its schema.
    #[test]
    fn whatever_the_bucket_and_the_clock_say_the_events_fit(
        etag in any::<String>(),
        version_id in any::<Option<String>>(),
        content_md5 in any::<Option<String>>(),
        seconds in 631_152_000_i64..7_289_654_400, // 1990 to 2200
        nanos in 0_u32..1_000_000_000,
        id in any::<u128>(),
    ) {
        let now = DateTime::from_timestamp(seconds, nanos).unwrap();
        let id = Uuid::from_u128(id);
        let evidence = Method::ReportedChecksum;
        let look = Look { etag, version_id, content_md5, evidence };
        let copy = stored_after(announced("recording.completed.v1.json"), look, id, now);
        let events = [
            ("recording.stored.v1", stored(&copy, None)),
            ("recording.parked.v1", parked(&key(), id, now, ParkReason::Throttled, Some(now))),
            ("recording.released.v1", released(&key(), id, now)),
            ("recording.expired.v1", expired(&key(), (id, now), ExpiryReason::Erasure, None)),
            (
                "destination.unhealthy.v1",
                health_changed(&unhealthy(id, now, ParkReason::AccessDenied)),
            ),
            ("transfer.due.v1", due(Queue::Transfer, &key(), id, now)),
            ("cleanup.due.v1", due(Queue::Cleanup, &key(), id, now)),
        ];
        for (event, outgoing) in events {
            let value = body(&outgoing);
            prop_assert!(validator(event).is_valid(&value), "{}: {:#}", event, value);
        }
    }
}
