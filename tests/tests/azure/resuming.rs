//! Going on after a crash: what was sent is not sent again, if it still fits and is still there.

use std::time::Duration;

use callferry_tests::patience;

use recording::{Method, Upload};

use super::setting::{PART, Setting, sent};
use super::staged::{Wish, noise};
use super::tap::{Act, What};

const BLOCKS: usize = 7;
const SIZE: usize = 6 * PART + 7;

/// Sends until some blocks are there, and dies.
async fn die_half_way(it: &Setting, bytes: &[u8]) -> Upload {
    it.staging.put("rec.wav", bytes);
    it.tap.arm(What::Block, Act::Hold, (3, usize::MAX));
    let wish = Wish::default();
    let landed = async || {
        let known = wish.uploads.remembered();
        // None must be on its way unseen, or it would arrive after the process is dead.
        let all_seen = it.tap.count(What::Block) == BLOCKS;
        Ok(known.filter(|known| all_seen && known.parts.len() == 3))
    };
    let waiting = patience::until("three blocks land", Duration::from_secs(60), landed);
    let known = tokio::select! {
        outcome = it.send_staged("rec", bytes.len(), &wish) => panic!("it ended: {outcome:?}"),
        known = waiting => known.unwrap(),
    };
    it.tap.disarm();
    it.tap.forget();
    known
}

#[tokio::test]
async fn a_successor_sends_only_the_blocks_that_are_missing() {
    let Some(mut it) = Setting::start("azure-resume").await else {
        return;
    };
    let bytes = noise(SIZE, 11);
    let earlier = die_half_way(&it, &bytes).await;
    it.start_process_anew();
    let wish = Wish {
        earlier: Some(earlier.clone()),
        ..Wish::default()
    };
    let (digests, checked) = sent(it.send_staged("rec", SIZE, &wish).await);
    assert_eq!(it.tap.count(What::Block), BLOCKS - 3);
    let resumed = earlier.parts.iter().map(|part| match part.number {
        7 => 7,
        _ => u64::try_from(PART).unwrap(),
    });
    assert_eq!(wish.progress.resumed_bytes(), resumed.sum::<u64>());
    // It is the same upload, which is remembered already.
    assert!(wish.uploads.ids.lock().unwrap().is_empty());
    let proof = it.prove("rec", digests, checked).await.unwrap();
    assert_eq!(proof.method(), Method::BlockList);
    assert_eq!(it.stored("rec").await.unwrap(), bytes);
}

#[tokio::test]
async fn another_original_or_another_cut_is_sent_anew() {
    let Some(mut it) = Setting::start("azure-anew").await else {
        return;
    };
    let bytes = noise(SIZE, 12);
    let earlier = die_half_way(&it, &bytes).await;
    let other_cut = Upload {
        part_bytes: earlier.part_bytes * 2,
        ..earlier.clone()
    };
    // Bytes that were remembered of other content: the identity pretends to be the same.
    let mut other_bytes = earlier.clone();
    for part in &mut other_bytes.parts {
        part.crc64nvme = recording::Crc64Nvme::new(!part.crc64nvme.value());
    }
    it.staging.put("rec.wav", &noise(SIZE, 13));
    for (number, earlier) in [earlier, other_cut, other_bytes].into_iter().enumerate() {
        it.start_process_anew();
        it.tap.forget();
        let recording = format!("rec-{number}");
        it.staging
            .put(&format!("{recording}.wav"), &noise(SIZE, 13));
        let wish = Wish {
            earlier: Some(earlier),
            ..Wish::default()
        };
        let (digests, checked) = sent(it.send_staged(&recording, SIZE, &wish).await);
        assert_eq!(it.tap.count(What::Block), BLOCKS);
        assert_eq!(wish.progress.resumed_bytes(), 0);
        assert_eq!(wish.uploads.ids.lock().unwrap().len(), 1);
        it.prove(&recording, digests, checked).await.unwrap();
    }
}

#[tokio::test]
async fn a_signature_that_cannot_list_sends_everything_again() {
    let Some(mut it) = Setting::start("azure-write-only").await else {
        return;
    };
    let bytes = noise(SIZE, 14);
    let earlier = die_half_way(&it, &bytes).await;
    let write_only = it.sas("cw", 60);
    it.become_known_by(write_only);
    let wish = Wish {
        earlier: Some(earlier),
        ..Wish::default()
    };
    sent(it.send_staged("rec", SIZE, &wish).await);
    assert_eq!(it.tap.count(What::Block), BLOCKS);
    assert_eq!(it.stored("rec").await.unwrap(), bytes);
}
