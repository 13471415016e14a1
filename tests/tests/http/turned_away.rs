//! What is written down although no URL was given out: the page that was opened, the token that may
//! not, the subject that asks too often; and what a listener may say who was refused by the store.

use anyhow::{Context, Result};
use callferry_tests::s3::Operation;
use serde_json::json;

use super::playing::{PLAY, exported, outcomes, play, served};

#[tokio::test(flavor = "multi_thread")]
async fn opening_the_page_and_lacking_the_scope_are_written_down() -> Result<()> {
    let (served, ids) = served("http-turned-away", &[]).await?;
    let id = &ids[0];
    let mine = served.token(Some("acme"), PLAY)?;
    let others = super::served::EVERYTHING.replace(PLAY, "");
    let lacking = served.token(Some("acme"), &others)?;
    let admin = served.token(None, &others)?;
    for (token, what, status) in [
        (&mine, format!("POST /play/{id}"), 200),
        (&mine, "POST /play/rec-unknown".to_owned(), 404),
        (&mine, format!("POST /play/{id}?account_id=globex"), 404),
        (&lacking, format!("POST /play/{id}"), 403),
        (&lacking, format!("GET /v1/recordings/{id}/playback"), 403),
        (
            &lacking,
            format!("GET /v1/recordings/{id}/playback?account_id=globex"),
            403,
        ),
        (
            &admin,
            format!("GET /v1/recordings/{id}/playback?account_id=acme"),
            403,
        ),
        // About no recording of anybody's, or about nothing that is heard.
        (&admin, format!("GET /v1/recordings/{id}/playback"), 403),
        (
            &lacking,
            "GET /v1/recordings/..%2fx/playback".to_owned(),
            403,
        ),
        (&mine, format!("GET /v1/recordings/{id}"), 403),
    ] {
        let answered = served.ask_as(token, &what, None).await?;
        assert_eq!(answered.status, status, "{what}: {}", answered.text);
    }
    let log = exported(&served.platform, "acme", &[]).await?;
    assert_eq!(
        outcomes(&log),
        [
            "opened",
            "not_found",
            "foreign",
            "scope",
            "scope",
            "scope",
            "scope"
        ]
    );
    assert_eq!(
        (&log[0]["life_s"], &log[0]["recording_id"]),
        (&json!(null), &json!(id))
    );
    assert_eq!(log[5]["asked_account_id"], "globex");
    assert_eq!(
        (&log[6]["token_account_id"], &log[6]["account_id"]),
        (&json!(null), &json!("acme"))
    );
    assert!(exported(&served.platform, "globex", &[]).await?.is_empty());
    for (outcome, count) in [("opened", 1.0), ("scope", 4.0), ("foreign", 1.0)] {
        let labels = format!("outcome=\"{outcome}\"");
        let counted = served
            .member
            .metric("callferry_playback_requests_total", &labels);
        assert!((counted.await? - count).abs() < 0.5, "{outcome}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_written_down_once_a_minute() -> Result<()> {
    let slow = [("CALLFERRY_HTTP_SUBJECT_RATE", "1")];
    let (served, ids) = served("http-too-often", &slow).await?;
    let mut refused = 0;
    for _ in 0..30 {
        let answered = play(&served, "acme", &format!("{}/playback", ids[0])).await?;
        refused += usize::from(answered.status == 429);
    }
    assert!(refused > 2, "{refused}");
    // The rate goes before the scope: what may not be asked is not asked any faster.
    let lacking = served.token(Some("acme"), "recordings:read")?;
    let what = format!("GET /v1/recordings/{}/playback", ids[0]);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(served.ask_as(&lacking, &what, None).await?.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let log = outcomes(&exported(&served.platform, "acme", &[]).await?);
    let rate = log.iter().filter(|outcome| *outcome == "rate").count();
    // A second one only where all that took more than a minute.
    assert!((1..=2).contains(&rate), "{log:?}");
    let counted = served
        .member
        .metric("callferry_playback_requests_total", "outcome=\"rate\"");
    assert!(counted.await? > 2.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_who_was_refused_has_another_session_sign_once_a_minute() -> Result<()> {
    let (served, ids) = served("http-again", &[]).await?;
    let token = served.token(Some("acme"), PLAY)?;
    let assumed = || {
        let counts = served.platform.lab.counts();
        counts.get(&Operation::AssumeRole).copied().unwrap_or(0)
    };
    let listened = async || -> Result<u64> {
        let sent = play(&served, "acme", &format!("{}/playback", ids[0])).await?;
        assert_eq!(sent.status, 302, "{}", sent.text);
        Ok(assumed())
    };
    let open = async |more: &str| -> Result<u16> {
        let what = format!("POST /play/{}{more}", ids[0]);
        Ok(served.ask_as(&token, &what, None).await?.status)
    };
    let first = listened().await?;
    assert_eq!(open("").await?, 200);
    assert_eq!(open("?again=false").await?, 200);
    assert_eq!(listened().await?, first, "a session is kept");
    assert_eq!(open("?again=maybe").await?, 400);
    assert_eq!(open("?again=true").await?, 200);
    assert_eq!(listened().await?, first + 1, "another session signs");
    for _ in 0..5 {
        assert_eq!(open("?again=true").await?, 200);
        assert_eq!(listened().await?, first + 1, "a minute is not over");
    }
    let log = served.member.log_text()?;
    let told = log
        .lines()
        .find(|line| line.contains("what signs is given up"));
    assert!(told.context("nobody was told")?.contains("acme"));
    Ok(())
}
