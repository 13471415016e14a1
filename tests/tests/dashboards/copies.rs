//! Copies are damaged before their originals are released: both pages fire, and end when the
//! owner of the bucket has put things right.

use anyhow::Result;
use callferry_tests::platform::Platform;

use super::watched::Watched;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_pages_for_the_refused_release_and_the_divergence_until_it_is_put_right()
-> Result<()> {
    let Some(mut watched) = Watched::new("alert-copies").await? else {
        return Ok(());
    };
    watched.start(&["transfer", "housekeeping"]).await?;
    watched.announce(&["acme"], 4, 1).await?;
    watched.until("stored", 4).await?;
    let bucket = Platform::bucket("acme");
    let (lost, foreign) = (watched.key("acme", "00001")?, watched.key("acme", "00002")?);
    let lab = &watched.platform.lab;
    // Before any delivery to cleanup: its own process is started only now, and counts from zero.
    lab.overwrite_object(&bucket, &foreign, &[7; 20_000])?;
    watched.start(&["cleanup"]).await?;
    watched.fires("CallferryCleanupRefused", "page").await?;
    watched.until("released", 3).await?;

    // A second look while it is watched, at a copy that is gone: it is copied again.
    watched.platform.lab.delete_object(&bucket, &foreign)?;
    watched.retry().await?;
    watched.fires("CallferryDivergence", "page").await?;
    watched.until("released", 4).await?;
    watched.ends("CallferryCleanupRefused", "page").await?;
    watched.ends("CallferryDivergence", "page").await?;
    assert!(watched.platform.staged_files()?.is_empty());
    // Copied again under the key it had; the other one was never touched.
    let keys = watched.platform.lab.objects(&bucket);
    assert!(keys.iter().any(|object| object.key == foreign));
    assert!(keys.iter().any(|object| object.key == lost));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_may_not_be_looked_at_warn_until_they_may() -> Result<()> {
    let Some(mut watched) = Watched::new("alert-looks").await? else {
        return Ok(());
    };
    watched.start(&["transfer", "housekeeping"]).await?;
    watched.announce(&["acme"], 2, 1).await?;
    watched.until("stored", 2).await?;
    watched.allow("acme", &["s3:PutObject"]).await?;
    watched.start(&["cleanup"]).await?;
    watched.fires("CallferryCleanupRefused", "warn").await?;
    assert_eq!(
        watched.platform.staged_files()?.len(),
        2,
        "nothing may be deleted"
    );

    let whole = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"];
    watched.allow("acme", &whole).await?;
    watched.retry().await?;
    watched.until("released", 2).await?;
    watched.ends("CallferryCleanupRefused", "warn").await
}
