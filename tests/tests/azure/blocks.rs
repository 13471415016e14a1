//! Blocks: what arrives, and what other writers do to it.

use async_trait::async_trait;
use bytes::Bytes;
use recording::{
    Digests, Identity, Method, Original, Originals, ParkReason, SendOutcome, StagingFault,
};

use callferry_tests::servers::Azurite;

use super::setting::{CONTAINER, PART, STORAGE_ACCOUNT, Setting, sent};
use super::staged::{self, Wish, announced, noise, refused, unclear};
use super::tap::What;

#[tokio::test]
async fn originals_above_the_part_arrive_byte_for_byte_in_blocks() {
    let Some(it) = Setting::start("azure-blocks").await else {
        return;
    };
    for (size, blocks) in [(PART + 1, 2), (5 * PART, 5), (6 * PART + 7, 7)] {
        it.tap.forget();
        let (bytes, wish) = (noise(size, 3), Wish::default());
        let recording = format!("rec-{size}");
        let (digests, checked) = sent(it.send_as(&recording, &bytes, &wish).await);
        assert_eq!(it.stored(&recording).await.unwrap(), bytes, "{size}");
        assert_eq!(it.tap.count(What::Block), blocks);
        assert_eq!(it.tap.count(What::Put), 0);
        assert_eq!(wish.progress.bytes(), u64::try_from(size).unwrap());
        let known = wish.uploads.remembered().unwrap();
        assert_eq!(known.parts.len(), blocks);
        let proof = it.prove(&recording, digests, checked).await.unwrap();
        assert_eq!(proof.method(), Method::BlockList);
        let committed = proof.observed().blocks.as_ref().unwrap();
        let ids: Vec<&str> = committed.iter().map(|block| block.id.as_str()).collect();
        let sent: Vec<&str> = known.parts.iter().map(|part| part.etag.as_str()).collect();
        assert_eq!(ids, sent);
        assert_eq!(it.tap.count(What::Commit), 1);
        assert_eq!(it.tap.count(What::List), 1);
    }
}

/// What somebody else does to the blob after the blocks were sent and before they are committed.
#[derive(Clone, Copy)]
enum Meanwhile {
    Puts,
    CommitsAndDeletes,
}

struct Interrupted<'a> {
    original: Box<dyn Original>,
    azurite: &'a Azurite,
    key: String,
    meanwhile: Meanwhile,
}

#[async_trait]
impl Original for Interrupted<'_> {
    fn identity(&self) -> Identity {
        self.original.identity()
    }
    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        self.original.read(offset, len).await
    }
    async fn digests(&self) -> Result<Digests, StagingFault> {
        self.original.digests().await
    }
    async fn still_same(&self) -> Result<(), StagingFault> {
        let (azurite, key) = (self.azurite, &self.key);
        match self.meanwhile {
            Meanwhile::Puts => {
                let put = azurite.overwrite(STORAGE_ACCOUNT, CONTAINER, key, b"theirs");
                put.await.unwrap();
            }
            Meanwhile::CommitsAndDeletes => {
                let put = azurite.commit_nothing(STORAGE_ACCOUNT, CONTAINER, key);
                put.await.unwrap();
                let deleted = azurite.delete(STORAGE_ACCOUNT, CONTAINER, key);
                deleted.await.unwrap();
            }
        }
        self.original.still_same().await
    }
}

async fn send_interrupted(it: &Setting, wish: &Wish, meanwhile: Meanwhile) -> SendOutcome {
    let announced = announced("rec", PART + 9);
    let opened = it.staging.originals.open(&announced.original.path).await;
    let original = Interrupted {
        original: opened.unwrap(),
        azurite: &it.azurite,
        key: it.key("rec").to_string(),
        meanwhile,
    };
    let writers = it.stores.writers();
    let outcome = staged::send(&writers, &it.destination, &announced, &original, wish).await;
    outcome.unwrap()
}

#[tokio::test]
async fn another_writers_blob_is_kept_and_dropped_blocks_are_sent_again() {
    let Some(it) = Setting::start("azure-writers").await else {
        return;
    };
    let bytes = noise(PART + 9, 8);
    it.staging.put("rec.wav", &bytes);
    let wish = Wish::default();
    let outcome = send_interrupted(&it, &wish, Meanwhile::Puts).await;
    unclear(Ok(outcome));
    assert_eq!(it.stored("rec").await.unwrap(), b"theirs");
    let key = it.key("rec");
    let deleted = it.azurite.delete(STORAGE_ACCOUNT, CONTAINER, key.as_str());
    deleted.await.unwrap();

    let wish = Wish::default();
    let outcome = send_interrupted(&it, &wish, Meanwhile::CommitsAndDeletes).await;
    let SendOutcome::Unclear(_, why) = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("InvalidBlockList"), "{why}");
    assert_eq!(it.stored("rec").await, None);
    // Remembered, and not there any more.
    it.tap.forget();
    let next = Wish {
        earlier: wish.uploads.remembered(),
        ..Wish::default()
    };
    let (digests, checked) = sent(it.send_staged("rec", bytes.len(), &next).await);
    assert_eq!(it.tap.count(What::Block), 2);
    it.prove("rec", digests, checked).await.unwrap();
    assert_eq!(it.stored("rec").await.unwrap(), bytes);
}

#[tokio::test]
async fn two_writers_of_one_recording_make_one_blob_of_it() {
    let Some(it) = Setting::start("azure-race").await else {
        return;
    };
    let bytes = noise(3 * PART + 9, 8);
    it.staging.put("rec.wav", &bytes);
    let (one, other) = (Wish::default(), Wish::default());
    let (one, other) = tokio::join!(
        it.send_staged("rec", bytes.len(), &one),
        it.send_staged("rec", bytes.len(), &other),
    );
    let sent = |outcome: &Result<SendOutcome, _>| matches!(outcome, Ok(SendOutcome::Sent(..)));
    let unclear =
        |outcome: &Result<SendOutcome, _>| matches!(outcome, Ok(SendOutcome::Unclear(..)));
    let fine = (sent(&one) && unclear(&other)) || (unclear(&one) && sent(&other));
    assert!(fine, "{one:?} {other:?}");
    assert_eq!(it.stored("rec").await.unwrap(), bytes);
    for outcome in [one, other] {
        let (SendOutcome::Sent(digests, _) | SendOutcome::Unclear(digests, _)) = outcome.unwrap();
        it.prove_by_reading("rec", digests).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_container_is_named_by_every_request() {
    let Some(mut it) = Setting::start("azure-missing").await else {
        return;
    };
    super::setting::azure(&mut it.destination).container = "gone".to_owned();
    for size in [9, PART + 9] {
        let fault = refused(it.send("rec", &noise(size, 1)).await);
        assert_eq!(fault.reason, ParkReason::BucketMissing, "{fault}");
    }
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::BucketMissing, "{fault}");
}
