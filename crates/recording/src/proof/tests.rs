//! The table of what proves a copy.

use super::*;
use crate::Sha256;
use crate::event::tests::announced;

fn digests() -> Digests {
    Digests {
        size_bytes: 7,
        sha256: Sha256::new([1; 32]),
        crc64nvme: Crc64Nvme::new(9),
    }
}

fn observed() -> Observed {
    let names = [
        ("callferry-account", "acme"),
        ("callferry-recording", "rec-7f3a"),
    ];
    Observed {
        size_bytes: 7,
        crc64nvme: Some(Crc64Nvme::new(9)),
        etag: "e".into(),
        version_id: None,
        content_md5: None,
        blocks: None,
        metadata: names
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        read_back: None,
    }
}

#[test]
fn the_reported_checksum_proves_and_any_difference_refutes() {
    let expected = Expected {
        digests: digests(),
        sent: None,
        first_look: None,
    };
    let verify = |o: Observed| expected.verify(&announced(), o).map(|v| v.method());
    assert_eq!(verify(observed()), Ok(Method::ReportedChecksum));
    let short = Observed {
        size_bytes: 6,
        ..observed()
    };
    assert_eq!(
        verify(short),
        Err(Mismatch::Size {
            expected: 7,
            observed: 6
        })
    );
    let other = Observed {
        crc64nvme: Some(Crc64Nvme::new(8)),
        ..observed()
    };
    assert_eq!(verify(other), Err(Mismatch::Content));
    let foreign = Observed {
        metadata: BTreeMap::new(),
        ..observed()
    };
    assert_eq!(verify(foreign), Err(Mismatch::Foreign));
}

#[test]
fn an_entity_tag_alone_never_proves_first_but_holds_after_a_read_back() {
    let silent = || Observed {
        crc64nvme: None,
        ..observed()
    };
    let first = Expected {
        digests: digests(),
        sent: None,
        first_look: None,
    };
    assert_eq!(
        first.verify(&announced(), silent()),
        Err(Mismatch::NeedsReadBack)
    );
    let read = Observed {
        read_back: Some(digests()),
        ..silent()
    };
    assert_eq!(
        first.verify(&announced(), read).map(|v| v.method()),
        Ok(Method::ReadBack)
    );
    let wrong = Digests {
        sha256: Sha256::new([2; 32]),
        ..digests()
    };
    let read = Observed {
        read_back: Some(wrong),
        ..silent()
    };
    assert_eq!(first.verify(&announced(), read), Err(Mismatch::Content));

    let look = |method| FirstLook {
        etag: "e".into(),
        version_id: None,
        content_md5: None,
        method,
    };
    let second = |method| Expected {
        digests: digests(),
        sent: None,
        first_look: Some(look(method)),
    };
    for method in [Method::ReadBack, Method::SentChecksum, Method::BlockList] {
        let again = second(method).verify(&announced(), silent());
        assert_eq!(again.map(|proof| proof.method()), Ok(method));
        let moved = Observed {
            etag: "f".into(),
            ..silent()
        };
        let replaced = Observed {
            content_md5: Some("other".into()),
            ..silent()
        };
        for changed in [moved, replaced] {
            assert_eq!(
                second(method).verify(&announced(), changed),
                Err(Mismatch::NeedsReadBack)
            );
        }
    }
    assert_eq!(
        second(Method::ReportedChecksum).verify(&announced(), silent()),
        Err(Mismatch::NeedsReadBack)
    );
}

#[test]
fn what_the_store_checked_while_taking_it_proves_only_the_very_object_that_was_written() {
    let block = |id: &str, size_bytes| Block {
        id: id.to_owned(),
        size_bytes,
    };
    let written = |blocks: Option<Vec<Block>>| Expected {
        digests: digests(),
        sent: Some(CheckedWrite {
            etag: "e".into(),
            content_md5: None,
            blocks,
        }),
        first_look: None,
    };
    let seen = |etag: &str, blocks: Option<Vec<Block>>| Observed {
        crc64nvme: None,
        etag: etag.to_owned(),
        blocks,
        ..observed()
    };
    let verify = |expected: Expected, seen: Observed| {
        expected
            .verify(&announced(), seen)
            .map(|proof| proof.method())
    };
    assert_eq!(
        verify(written(None), seen("e", None)),
        Ok(Method::SentChecksum)
    );
    assert_eq!(
        verify(written(None), seen("f", None)),
        Err(Mismatch::NeedsReadBack)
    );
    let sent = vec![block("a", 4), block("b", 3)];
    let swapped = vec![block("b", 3), block("a", 4)];
    assert_eq!(
        verify(written(Some(sent.clone())), seen("e", Some(sent.clone()))),
        Ok(Method::BlockList)
    );
    assert_eq!(
        verify(written(Some(sent.clone())), seen("e", Some(swapped))),
        Err(Mismatch::Content)
    );
    assert_eq!(
        verify(written(Some(sent)), seen("e", None)),
        Err(Mismatch::NeedsReadBack)
    );
}
