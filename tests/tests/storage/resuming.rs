//! Going on with an upload that an earlier attempt left open: what is sent again, what is not,
//! and when it is begun anew. The laboratory's record of requests says what was sent.

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use recording::{ParkReason, SendFault, Upload};

use super::setting::{
    BUCKET, GRANTED, MIB, ROLE, Setting, Wish, noise, refused, sent, settings, stores, unclear,
};
use callferry_tests::s3::{Fault, FaultRule, Operation, Policy};
use storage::StoreSettings;

/// Three parts, the last one short.
const LARGE: usize = 11 * MIB + 12_345;

/// The numbers of the parts sent since the record was cleared, in order.
pub(crate) fn parts_sent(it: &Setting) -> Vec<u32> {
    let mut parts: Vec<u32> = it
        .lab
        .history()
        .iter()
        .filter_map(|seen| seen.part)
        .collect();
    parts.sort_unstable();
    parts
}

fn open_uploads(it: &Setting) -> usize {
    it.lab.open_uploads(BUCKET).len()
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// Sends until the ledger knows so many parts, and crashes. What is left is in the ledger; the
/// record of requests is cleared.
async fn crashed_after(it: &Setting, recording: &str, original: &[u8], parts: u64) -> Upload {
    let sending = FaultRule::on(Operation::UploadPart, Fault::HangBefore);
    let sending = it.lab.arm(sending.after(parts));
    let completing = FaultRule::on(Operation::CompleteMultipartUpload, Fault::HangBefore);
    let completing = it.lab.arm(completing);
    let wish = Wish::default();
    let known = || wish.uploads.remembered().map(|it| bytes(it.parts.len()));
    tokio::select! {
        outcome = it.send_as(recording, original, &wish) => panic!("not hanging: {outcome:?}"),
        () = until(|| known() == Some(parts)) => {}
    }
    // What hangs goes with its connection, and so does not arrive late.
    it.lab.stop().await;
    it.lab.clear_fault(sending);
    it.lab.clear_fault(completing);
    it.lab.start_again().await.unwrap();
    it.lab.clear_history();
    wish.uploads.remembered().unwrap()
}

async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn going_on(upload: &Upload) -> Wish {
    let wish = Wish {
        earlier: Some(upload.clone()),
        ..Wish::default()
    };
    *wish.uploads.known.lock().unwrap() = Some(upload.clone());
    wish
}

/// Sends the staged original once more, as the next claim does.
async fn again(
    it: &Setting,
    recording: &str,
    wish: &Wish,
) -> Result<recording::SendOutcome, SendFault> {
    let announced = super::setting::announced(recording, LARGE);
    let opened = recording::Originals::open(&it.staging.originals, &announced.original.path).await;
    it.send_from(&announced, &*opened.unwrap(), wish).await
}

#[tokio::test]
async fn what_the_store_has_is_not_sent_again() {
    let it = Setting::start().await;
    let original = noise(LARGE, 1);
    for landed in 0..=3 {
        let recording = format!("rec-{landed}");
        let upload = crashed_after(&it, &recording, &original, landed).await;
        let known: Vec<u32> = upload.parts.iter().map(|part| part.number).collect();
        let wish = going_on(&upload);
        let digests = sent(again(&it, &recording, &wish).await);
        it.prove(&recording, digests).await.unwrap();
        assert!(it.stored(&recording).unwrap() == original);
        let missing: Vec<u32> = (1..=3).filter(|number| !known.contains(number)).collect();
        assert_eq!(parts_sent(&it), missing);
        assert_eq!(it.lab.count(Operation::CreateMultipartUpload), 0);
        assert_eq!(it.lab.count(Operation::AbortMultipartUpload), 0);
        let progress = &wish.progress;
        assert_eq!(progress.bytes() + progress.resumed_bytes(), bytes(LARGE));
        assert_eq!(progress.resumed_bytes() > 0, landed > 0);
        assert!(progress.reading() > std::time::Duration::ZERO);
        assert_eq!(wish.uploads.remembered().unwrap().parts.len(), 3);
        assert!(wish.uploads.ids.lock().unwrap().is_empty(), "begun anew");
    }
    assert_eq!(open_uploads(&it), 0);
}

fn change_time(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// Another file with the same bytes and times takes the original's place.
fn change_inode(path: &Path) {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    let other = path.with_extension("other");
    std::fs::copy(path, &other).unwrap();
    let file = File::options().write(true).open(&other).unwrap();
    file.set_modified(modified).unwrap();
    std::fs::rename(&other, path).unwrap();
}

#[tokio::test]
async fn an_upload_of_another_file_is_aborted_and_begun_anew() {
    let it = Setting::start().await;
    let original = noise(LARGE, 2);
    for (number, change) in [change_time, change_inode].into_iter().enumerate() {
        let recording = format!("rec-{number}");
        let upload = crashed_after(&it, &recording, &original, 2).await;
        change(&it.staging.at("acme").join(format!("{recording}.wav")));
        let wish = going_on(&upload);
        let digests = sent(again(&it, &recording, &wish).await);
        it.prove(&recording, digests).await.unwrap();
        assert_eq!(parts_sent(&it), [1, 2, 3]);
        assert_eq!(it.lab.count(Operation::AbortMultipartUpload), 1);
        assert_eq!(wish.progress.resumed_bytes(), 0);
        assert_ne!(wish.uploads.remembered().unwrap().id, upload.id);
        assert_eq!(open_uploads(&it), 0);
    }
}

#[tokio::test]
async fn an_upload_in_parts_of_another_size_is_aborted_and_begun_anew() {
    let mut it = Setting::start().await;
    let original = noise(LARGE, 3);
    let endpoint = it.lab.endpoint();
    for (part_mib, parts) in [(6, vec![1, 2]), (16, vec![])] {
        let recording = format!("rec-{part_mib}");
        it.stores = stores(settings(&endpoint));
        let upload = crashed_after(&it, &recording, &original, 2).await;
        it.stores = stores(StoreSettings {
            part_size_bytes: part_mib * bytes(MIB),
            ..settings(&endpoint)
        });
        let wish = going_on(&upload);
        let digests = sent(again(&it, &recording, &wish).await);
        it.prove(&recording, digests).await.unwrap();
        assert_eq!(parts_sent(&it), parts);
        assert_eq!(it.lab.count(Operation::AbortMultipartUpload), 1);
        assert_eq!(open_uploads(&it), 0);
    }
}

#[tokio::test]
async fn an_upload_that_the_store_lost_is_begun_anew_before_anything_is_read() {
    let it = Setting::start().await;
    let original = noise(LARGE, 4);
    let upload = crashed_after(&it, "rec", &original, 3).await;
    assert!(it.lab.lose_upload(BUCKET, &upload.id).unwrap());
    let wish = going_on(&upload);
    let digests = sent(again(&it, "rec", &wish).await);
    it.prove("rec", digests).await.unwrap();
    assert_eq!(parts_sent(&it), [1, 2, 3]);
    assert_eq!(wish.progress.resumed_bytes(), 0);
    assert_eq!(wish.uploads.ids.lock().unwrap().len(), 1);
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn an_upload_that_is_lost_midway_is_begun_anew_once_in_the_same_attempt() {
    let it = Setting::start().await;
    let original = noise(LARGE, 5);
    let hanging = FaultRule::on(Operation::UploadPart, Fault::HangBefore);
    let hanging = it.lab.arm(hanging.after(2).once());
    let wish = Wish::default();
    let (outcome, ()) = tokio::join!(it.send_as("rec", &original, &wish), async {
        until(|| it.lab.struck(hanging) == 1 && it.lab.count(Operation::UploadPart) == 2).await;
        let id = wish.uploads.remembered().unwrap().id;
        assert!(it.lab.lose_upload(BUCKET, &id).unwrap());
        it.lab.release(hanging);
    });
    it.prove("rec", sent(outcome)).await.unwrap();
    assert!(it.stored("rec").unwrap() == original);
    assert_eq!(wish.uploads.ids.lock().unwrap().len(), 2);

    // A store that forgets every upload is for a later attempt, not for ever.
    let forgetting = Fault::ErrorBefore {
        status: 404,
        code: "NoSuchUpload".to_owned(),
    };
    it.lab.arm(FaultRule::on(Operation::UploadPart, forgetting));
    it.lab.clear_history();
    let fault = refused(it.send("forgotten", &original).await);
    assert_eq!(fault.reason, ParkReason::OutcomeUnknown);
    assert_eq!(it.lab.count(Operation::CreateMultipartUpload), 2);
}

#[tokio::test]
async fn without_the_right_to_list_parts_one_part_is_sent_again_to_find_out() {
    let it = Setting::start().await;
    let listing = "s3:ListMultipartUploadParts";
    let less: Vec<&str> = GRANTED.into_iter().filter(|it| *it != listing).collect();
    let less = Policy::bucket(BUCKET, "", &less);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = less));
    let original = noise(LARGE, 6);
    for (recording, lost) in [("there", false), ("lost", true)] {
        let upload = crashed_after(&it, recording, &original, 3).await;
        if lost {
            it.lab.lose_upload(BUCKET, &upload.id).unwrap();
        }
        let wish = going_on(&upload);
        let digests = sent(again(&it, recording, &wish).await);
        it.prove(recording, digests).await.unwrap();
        let expected = if lost { vec![1, 1, 2, 3] } else { vec![1] };
        assert_eq!(parts_sent(&it), expected);
    }
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn a_part_with_other_bytes_than_remembered_is_sent_again() {
    let it = Setting::start().await;
    let original = noise(LARGE, 7);
    let mut upload = crashed_after(&it, "rec", &original, 3).await;
    let wrong = &mut upload.parts[1];
    wrong.crc64nvme = recording::Crc64Nvme::new(wrong.crc64nvme.value() ^ 1);
    let wish = going_on(&upload);
    let digests = sent(again(&it, "rec", &wish).await);
    it.prove("rec", digests).await.unwrap();
    assert!(it.stored("rec").unwrap() == original);
    assert_eq!(parts_sent(&it), [2]);
}

/// Remembered and not there as remembered: the completion is refused, nothing is made, and the
/// next attempt begins anew.
#[tokio::test]
async fn a_part_that_the_store_does_not_have_as_remembered_ends_in_a_good_object_in_the_end() {
    let it = Setting::start().await;
    let original = noise(LARGE, 8);
    for case in ["lost", "another-tag", "damaged", "too-many"] {
        if case == "damaged" {
            let fault = FaultRule::on(Operation::UploadPart, Fault::StoreCorrupted);
            it.lab.arm(fault.once());
        }
        let mut upload = crashed_after(&it, case, &original, 3).await;
        match case {
            "lost" => assert!(it.lab.lose_part(BUCKET, &upload.id, 2).unwrap()),
            "another-tag" => upload.parts[2].etag = "\"0123\"".to_owned(),
            // A number that the cut does not have is never used.
            "too-many" => {
                let mut more = upload.parts[0].clone();
                more.number = 4;
                upload.parts.push(more);
                upload.parts[0].etag = "\"0123\"".to_owned();
            }
            _ => {}
        }
        let wish = going_on(&upload);
        let fault = refused(again(&it, case, &wish).await);
        assert_eq!(fault.reason, ParkReason::OutcomeUnknown, "{case}: {fault}");
        assert_eq!(parts_sent(&it), [0; 0]);
        assert!(it.stored(case).is_none(), "{case}");
        assert_eq!(open_uploads(&it), 0, "{case}");
        // The ledger still remembers it.
        let digests = sent(again(&it, case, &going_on(&upload)).await);
        it.prove(case, digests).await.unwrap();
        assert!(it.stored(case).unwrap() == original);
        assert_eq!(parts_sent(&it), [1, 2, 3]);
    }
}

#[tokio::test]
async fn two_writers_of_one_upload_make_one_good_object() {
    let it = Setting::start().await;
    let original = noise(LARGE, 9);
    let late = [Operation::CompleteMultipartUpload, Operation::UploadPart];
    for (number, step) in late.into_iter().enumerate() {
        let recording = format!("rec-{number}");
        it.lab.clear_history();
        let after = if step == Operation::UploadPart { 2 } else { 0 };
        let hanging = FaultRule::on(step, Fault::HangBefore).after(after).once();
        let hanging = it.lab.arm(hanging);
        let first = Wish::default();
        let (outcome, ()) = tokio::join!(it.send_as(&recording, &original, &first), async {
            let landed = || first.uploads.remembered().map_or(0, |it| it.parts.len());
            let enough = if step == Operation::UploadPart { 2 } else { 3 };
            until(|| it.lab.struck(hanging) == 1 && landed() == enough).await;
            // The successor takes over and is done first.
            let upload = first.uploads.remembered().unwrap();
            let digests = sent(again(&it, &recording, &going_on(&upload)).await);
            it.prove(&recording, digests).await.unwrap();
            it.lab.release(hanging);
        });
        let digests = unclear(outcome);
        it.prove(&recording, digests).await.unwrap();
        assert!(it.stored(&recording).unwrap() == original);
        assert_eq!(open_uploads(&it), 0);
    }
}

#[tokio::test]
async fn who_lost_the_lease_leaves_the_upload_to_its_successor() {
    let it = Setting::start().await;
    let original = noise(LARGE, 10);
    let upload = crashed_after(&it, "rec", &original, 2).await;
    let late = Wish {
        lease_lost: true,
        ..going_on(&upload)
    };
    let outcome = again(&it, "rec", &late).await;
    assert!(
        matches!(outcome, Err(SendFault::LeaseLost(_))),
        "{outcome:?}"
    );
    assert_eq!(it.lab.count(Operation::AbortMultipartUpload), 0);
    assert!(it.stored("rec").is_none());
    it.lab.clear_history();
    let wish = going_on(&late.uploads.remembered().unwrap());
    let digests = sent(again(&it, "rec", &wish).await);
    it.prove("rec", digests).await.unwrap();
    assert_eq!(
        parts_sent(&it),
        [0; 0],
        "the late one's part counts as well"
    );
}

#[tokio::test]
async fn a_denial_midway_leaves_the_upload_for_the_next_attempt() {
    let it = Setting::start().await;
    let original = noise(LARGE, 11);
    let denied = Fault::ErrorBefore {
        status: 403,
        code: "AccessDenied".to_owned(),
    };
    let third = |fault| FaultRule::on(Operation::UploadPart, fault).after(2);
    let hanging = it.lab.arm(third(Fault::HangBefore));
    it.lab.arm(third(denied));
    let wish = Wish::default();
    let (outcome, ()) = tokio::join!(it.send_as("rec", &original, &wish), async {
        let landed = || wish.uploads.remembered().map_or(0, |it| it.parts.len());
        until(|| landed() == 2).await;
        it.lab.release(hanging);
    });
    let fault = refused(outcome);
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    assert_eq!(open_uploads(&it), 1);
    it.lab.clear_faults();
    it.lab.clear_history();
    let upload = wish.uploads.remembered().unwrap();
    let digests = sent(again(&it, "rec", &going_on(&upload)).await);
    it.prove("rec", digests).await.unwrap();
    assert_eq!(parts_sent(&it).len(), 1);
}
