//! The public keys of custody receipts: for everybody, without a token, and for a while.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::served::{Served, ask, start};

#[tokio::test]
async fn receipt_keys_are_published_to_everybody_and_follow_a_rotation_without_a_restart()
-> Result<()> {
    let served = Served::new("http-receipt-keys", &[]).await?;
    let place = "GET /v1/receipt-keys";
    let none = ask(&served.root, place, &[], None).await?;
    assert_eq!(none.must(200), json!({ "keys": [] }));

    let platform = &served.platform;
    let file = served
        .scratch
        .path()
        .join("receipt-key")
        .display()
        .to_string();
    platform.json(&["receipt-key", "new", &file]).await?;
    let own = [("CALLFERRY_RECEIPT_KEY_FILE", file.as_str())];
    let issuer = served
        .scratch
        .path()
        .join("issuer.pem")
        .display()
        .to_string();
    let (mut member, root) = start(platform, &issuer, &own).await?;
    let answered = ask(&root, place, &[], None).await?;
    let cached = answered.headers.get("cache-control");
    assert_eq!(cached.context("no header")?, "public, max-age=300");
    assert!(!answered.text.contains("\"d\""), "{}", answered.text);
    let before = answered.must(200);

    let rotate = ["receipt-key", "rotate", "--json"];
    let turned = platform.fleet.run_with(&rotate, &own).await?.success()?;
    let turned: Value = turned.json()?;
    let what = "the new key is published";
    let after = callferry_tests::patience::until(what, super::served::LONG, async || {
        let keys = ask(&root, place, &[], None).await?.must(200);
        Ok((keys["keys"][0]["kid"] == turned["key_id"]).then_some(keys))
    })
    .await?;
    assert_eq!(after["keys"][1], before["keys"][0], "the older one stays");
    member.stop(super::served::LONG).await?;
    Ok(())
}
