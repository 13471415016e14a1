//! Recordings in real buckets of both clouds, heard through the redirect.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform, REGION};
use callferry_tests::s3::{Policy, Role};
use callferry_tests::scratch::Scratch;
use reqwest::{Certificate, Client, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::served::{LONG, Served};

/// What a role must allow.
const OBJECTS: [&str; 6] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:DeleteObject",
];

/// Sends recordings of these accounts to where their destinations are.
pub(crate) async fn store(platform: &Platform, accounts: &[&str], seed: u64) -> Result<Produce> {
    let before = stored(platform).await?;
    let accounts: Vec<String> = accounts.iter().map(|name| (*name).to_owned()).collect();
    let load = Load {
        recordings: accounts.len() * 2,
        accounts,
        size_bytes: 40_000,
        seed,
    };
    let staged = load.stage(platform)?;
    let mut transfer = platform
        .fleet
        .start_ready("transfer", &["transfer"])
        .await?;
    load.publish(platform).await?;
    let all = before + u64::try_from(staged.len())?;
    patience::until("they are stored", LONG, async || {
        Ok((stored(platform).await? >= all).then_some(()))
    })
    .await?;
    transfer.stop(LONG).await?;
    Ok(staged)
}

async fn stored(platform: &Platform) -> Result<u64> {
    let states = load::states(platform).await?;
    Ok(states.get("stored").copied().unwrap_or(0))
}

/// A listener that follows redirects and knows the laboratory's authorities.
pub(crate) fn listener(platform: &Platform) -> Result<Client> {
    let mut builder = Client::builder().no_proxy().timeout(LONG);
    if let Ok(azure) = platform.azure() {
        let file = azure.azurite.ca_file().context("no authority")?;
        let pem = std::fs::read(file)?;
        builder = builder.tls_certs_merge([Certificate::from_pem(&pem)?]);
    }
    Ok(builder.build()?)
}

async fn listen(
    served: &Served,
    client: &Client,
    (account, id): (&str, &str),
    range: Option<&str>,
) -> Result<Response> {
    let token = served.token(Some(account), "recordings:play")?;
    let url = format!("{}/v1/recordings/{id}/playback", served.root);
    let mut request = client.get(url).bearer_auth(token);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    Ok(request.send().await?)
}

/// Every one must be heard byte for byte, and any part of it.
pub(crate) async fn heard(served: &Served, client: &Client, staged: &Produce) -> Result<()> {
    for ((account, id), produced) in staged {
        let whole = listen(served, client, (account, id), None).await?;
        let status = whole.status();
        let header = |name: &str| {
            let value = whole.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let (kind, name) = (header("content-type"), header("content-disposition"));
        let cache = header("cache-control");
        let bytes = whole.bytes().await?;
        assert_eq!(status, StatusCode::OK, "{account}/{id}: {bytes:?}");
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            produced.sha256,
            "{account}/{id}"
        );
        assert_eq!(kind, "audio/wav", "{account}/{id}");
        assert_eq!(cache, "private, no-store", "{account}/{id}");
        assert_eq!(
            name,
            format!("inline; filename=\"{id}.wav\""),
            "{account}/{id}"
        );
        let part = listen(served, client, (account, id), Some("bytes=1000-1999")).await?;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{account}/{id}");
        assert_eq!(
            part.bytes().await?,
            bytes.slice(1000..2000),
            "{account}/{id}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_both_clouds_are_heard_byte_for_byte_before_and_after_a_switch() -> Result<()>
{
    let scratch = Scratch::new("http-played")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    platform.account("acme").await?;
    platform
        .azure_account("globex", AzureAccess::AccessKey)
        .await?;
    platform
        .azure_account("initech", AzureAccess::ServicePrincipal)
        .await?;
    let mut staged = store(&platform, &["acme", "globex", "initech"], 0x71).await?;
    let served = Served::of(platform, scratch, &[]).await?;
    let client = listener(&served.platform)?;
    heard(&served, &client, &staged).await?;

    // One account moves to the other cloud: what it had plays from there, what is new from here.
    let mut served = served;
    served
        .platform
        .azure_destination("acme", AzureAccess::ServicePrincipal)
        .await?;
    let later = store(&served.platform, &["acme"], 0x72).await?;
    let azure = served.platform.azure_objects("acme-recordings").await?;
    let s3 = served.platform.auditor().fetch("acme-recordings").await?;
    assert_eq!((azure.len(), s3.len()), (2, 2), "two lie in each cloud");
    staged.extend(later);
    heard(&served, &client, &staged).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_for_the_same_place_plays_what_lies_there_without_the_old_one() -> Result<()> {
    let scratch = Scratch::new("http-renewed")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let old = platform.account("acme").await?;
    let staged = store(&platform, &["acme"], 0x73).await?;
    let served = Served::of(platform, scratch, &[]).await?;
    let (platform, client) = (&served.platform, listener(&served.platform)?);
    heard(&served, &client, &staged).await?;
    let shown = platform.json(&["account", "show", "acme"]).await?;
    let external_id = shown["external_id"].as_str().context("no external id")?;
    let arn = "arn:aws:iam::111122220001:role/acme-renewed";
    let role = Role::new(arn, Policy::bucket("acme-recordings", "", &OBJECTS));
    let role = role.external_id(external_id).trusting("callferry");
    platform.lab.put_role(role);
    let endpoint = platform.lab.endpoint();
    let set = [
        "destination",
        "set",
        "acme",
        "s3",
        "--bucket",
        "acme-recordings",
    ];
    let how = [
        "--region",
        REGION,
        "--role-arn",
        arn,
        "--endpoint",
        &endpoint,
    ];
    platform.json(&[&set[..], &how].concat()).await?;
    platform.lab.remove_role(&old);
    platform.lab.expire_sessions();
    heard(&served, &client, &staged).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_lives_no_longer_than_is_configured_or_than_the_session_that_signs_it() -> Result<()>
{
    let scratch = Scratch::new("http-lives")?;
    let mut platform = Platform::start(scratch.path()).await?;
    for account in ["acme", "globex"] {
        platform.account(account).await?;
    }
    let staged = store(&platform, &["acme", "globex"], 0x74).await?;
    let short = [("CALLFERRY_PLAYBACK_URL_LIFE_S", "60")];
    let served = Served::of(platform, scratch, &short).await?;
    let life = async |account: &str| -> Result<i64> {
        let id = staged.keys().find(|(owner, _)| owner == account);
        let (_, id) = id.context("none of this account")?;
        let token = served.token(Some(account), "recordings:play")?;
        let what = format!("GET /v1/recordings/{id}/playback?format=json");
        let told = served.ask_as(&token, &what, None).await?.must(200);
        let ends = told["expires_at"].as_str().context("no end")?;
        let ends: chrono::DateTime<chrono::Utc> = ends.parse()?;
        let url = url::Url::parse(told["url"].as_str().context("no url")?)?;
        let said = url.query_pairs().find(|(name, _)| name == "X-Amz-Expires");
        let said: i64 = said.context("no life")?.1.parse()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the answer's own time is the wall's"
        )]
        let left = (ends - chrono::Utc::now()).num_seconds();
        assert!(left <= said && left > said - 60, "{left} of {said}");
        Ok(said)
    };
    assert_eq!(life("acme").await?, 60);
    served
        .platform
        .lab
        .force_session_lifetime(Some(Duration::from_secs(40)));
    let said = life("globex").await?;
    assert!((1..=40).contains(&said), "{said}");
    Ok(())
}
