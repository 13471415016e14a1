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

    let look = |read_back| FirstLook {
        etag: "e".into(),
        version_id: None,
        read_back,
    };
    let second = |read_back| Expected {
        digests: digests(),
        first_look: Some(look(read_back)),
    };
    assert!(second(true).verify(&announced(), silent()).is_ok());
    assert_eq!(
        second(false).verify(&announced(), silent()),
        Err(Mismatch::NeedsReadBack)
    );
    let moved = Observed {
        etag: "f".into(),
        ..silent()
    };
    assert_eq!(
        second(true).verify(&announced(), moved),
        Err(Mismatch::NeedsReadBack)
    );
}
