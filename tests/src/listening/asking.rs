//! Requests from one seed, and for each the only answer that may come. The oracle knows whose the
//! token is and reads of a URL which bucket and key it is for; it asks the service nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

use super::stage::Stage;
use super::wire::{Heard, Wire};
use crate::platform::Platform;

/// Ids that nobody has, and texts that are no ids.
const UNKNOWN: [&str; 4] = ["rec-9999", "REC-0000", "rec-0000.wav", "0"];
const MALFORMED: [&str; 12] = [
    "..",
    "%2e%2e",
    "..%2frec-0000",
    "rec-0000%00",
    "rec-0000%0d%0aset-cookie:a=b",
    "r%C3%A9c",
    "%ff",
    ".rec-0000",
    "-rec",
    "rec%200000",
    "rec-0000%2f..%2frec-0001",
    "%252e%252e",
];

/// What comes with a request.
#[derive(Debug, Clone)]
struct Bearer {
    token: String,
    /// The account it is bound to.
    account: Option<String>,
    means: Means,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// It may listen.
    Listens,
    /// It may do everything else.
    OtherScope,
    /// It is nobody's.
    Nothing,
}

/// What must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Must {
    /// A URL of this account's recording.
    Play(String, String),
    /// This status.
    Refuse(u16),
}

/// What askers know.
#[derive(Debug)]
struct Known {
    address: String,
    /// Where the buckets are.
    endpoint: String,
    accounts: Vec<String>,
    ids: Vec<String>,
    bearers: Vec<Bearer>,
}

/// How many of what was answered.
pub type Tally = BTreeMap<String, u64>;

/// Asks so many times over so many connections at once, and returns how often what was answered.
///
/// # Errors
/// The first answer that is not the one that must come.
pub async fn ask(stage: &Stage, requests: u64, at_once: u64, seed: u64) -> Result<Tally> {
    let known = Arc::new(Known {
        address: stage.address.clone(),
        endpoint: stage.platform.lab.endpoint(),
        accounts: stage.accounts.clone(),
        ids: stage.ids.clone(),
        bearers: bearers(stage)?,
    });
    let mut running = JoinSet::new();
    for number in 0..at_once {
        let share = requests / at_once + u64::from(number < requests % at_once);
        let known = Arc::clone(&known);
        running.spawn(async move { one(&known, share, seed ^ (number << 32)).await });
    }
    let mut tally = Tally::new();
    while let Some(ended) = running.join_next().await {
        for (what, times) in ended?? {
            *tally.entry(what).or_default() += times;
        }
    }
    Ok(tally)
}

/// Tokens of every kind, for every account.
fn bearers(stage: &Stage) -> Result<Vec<Bearer>> {
    let mut bearers = Vec::new();
    let mut add = |token: Result<String>, account: Option<&str>, means| -> Result<()> {
        let account = account.map(str::to_owned);
        bearers.push(Bearer {
            token: token?,
            account,
            means,
        });
        Ok(())
    };
    let of = |account: &String| Some(account.clone());
    for account in stage.accounts.iter().map(of).chain([None]) {
        let account = account.as_deref();
        let plays = "recordings:play";
        add(stage.token(account, plays), account, Means::Listens)?;
        add(
            stage.token(account, "status:read recordings:play"),
            account,
            Means::Listens,
        )?;
        let others = "recordings:read accounts:write recordings:plays";
        add(stage.token(account, others), account, Means::OtherScope)?;
        let good = stage.claims(account, plays);
        let mut turned = |field: &str, value: Value| {
            let mut claims = good.clone();
            let fields = claims.as_object_mut().context("no claims")?;
            fields.insert(field.to_owned(), value);
            add(stage.signed(&stage.key, &claims), account, Means::Nothing)
        };
        turned("exp", json!(1_700_000_000))?;
        turned("aud", json!("another"))?;
        turned("iss", json!("https://evil.invalid/"))?;
        turned("account_id", json!(["account-000", "account-001"]))?;
        turned("account_id", Value::Null)?;
        add(
            stage.signed(&stage.stranger, &good),
            account,
            Means::Nothing,
        )?;
        // Another account's claims under this one's signature.
        let token = stage.token(account, plays)?;
        let other = stage.token(stage.accounts.first().map(String::as_str), plays)?;
        let parts: Vec<_> = token.split('.').zip(other.split('.')).collect();
        if let [(head, _), (mine, theirs), (signature, _)] = parts.as_slice()
            && mine != theirs
        {
            add(
                Ok(format!("{head}.{theirs}.{signature}")),
                account,
                Means::Nothing,
            )?;
        }
    }
    bearers.push(Bearer {
        token: String::new(),
        account: None,
        means: Means::Nothing,
    });
    Ok(bearers)
}

async fn one(known: &Known, requests: u64, seed: u64) -> Result<Tally> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut wire = Wire::open(&known.address).await?;
    let mut tally = Tally::new();
    for _ in 0..requests {
        // Half of them are in order, or hardly any would get as far as a URL.
        let bearer = loop {
            let bearer = known.bearers.choose(&mut random).context("no tokens")?;
            if bearer.means == Means::Listens || random.random_bool(0.25) {
                break bearer;
            }
        };
        let id = match random.random_range(0..10) {
            0 => (*UNKNOWN.choose(&mut random).context("none")?).to_owned(),
            1 => (*MALFORMED.choose(&mut random).context("none")?).to_owned(),
            _ => known.ids.choose(&mut random).context("no ids")?.clone(),
        };
        let named = random.random_bool(if bearer.account.is_some() { 0.3 } else { 0.9 });
        let named = match named {
            true => Some(known.accounts.choose(&mut random).context("none")?.clone()),
            false => None,
        };
        let (as_json, by_cookie) = (random.random_bool(0.3), random.random_bool(0.2));
        let method = if random.random_bool(0.1) {
            "HEAD"
        } else {
            "GET"
        };
        let must = must(known, bearer, &id, named.as_deref());
        let path = path(&id, named.as_deref(), as_json);
        let value = match by_cookie {
            true => format!("callferry_play={}", bearer.token),
            false => format!("Bearer {}", bearer.token),
        };
        let name = if by_cookie { "cookie" } else { "authorization" };
        let heard = wire.ask(method, &path, &[(name, &value)]).await?;
        let shown = || {
            format!(
                "{method} {path} by {name}, {:?} of {:?}",
                bearer.means, bearer.account
            )
        };
        judge(known, &must, &heard, (method, as_json)).with_context(shown)?;
        *tally.entry(told(&must)).or_default() += 1;
    }
    Ok(tally)
}

fn path(id: &str, named: Option<&str>, as_json: bool) -> String {
    let mut path = format!("/v1/recordings/{id}/playback");
    let mut words = Vec::new();
    words.extend(named.map(|named| format!("account_id={named}")));
    words.extend(as_json.then(|| "format=json".to_owned()));
    if !words.is_empty() {
        path.push('?');
        path.push_str(&words.join("&"));
    }
    path
}

/// The only answer that may come.
fn must(known: &Known, bearer: &Bearer, id: &str, named: Option<&str>) -> Must {
    match bearer.means {
        Means::Nothing => return Must::Refuse(401),
        Means::OtherScope => return Must::Refuse(403),
        Means::Listens => {}
    }
    if MALFORMED.contains(&id) {
        return Must::Refuse(400);
    }
    let account = match (&bearer.account, named) {
        (Some(own), Some(named)) if own != named => return Must::Refuse(404),
        (Some(own), _) => own.clone(),
        (None, Some(named)) => named.to_owned(),
        (None, None) => return Must::Refuse(400),
    };
    if !known.ids.iter().any(|known| known == id) {
        return Must::Refuse(404);
    }
    Must::Play(account, id.to_owned())
}

fn told(must: &Must) -> String {
    match must {
        Must::Play(_, _) => "played".to_owned(),
        Must::Refuse(status) => format!("refused: {status}"),
    }
}

fn judge(known: &Known, must: &Must, heard: &Heard, (method, as_json): (&str, bool)) -> Result<()> {
    let body = String::from_utf8_lossy(&heard.body);
    let place = heard.header("location");
    let (account, id) = match must {
        Must::Play(account, id) => (account, id),
        Must::Refuse(status) => {
            let signs = |text: &str| text.contains("Signature") || text.contains("sig=");
            if heard.status != *status || place.is_some() || signs(&body) {
                bail!(
                    "{status} must be answered, not {} {place:?} {body}",
                    heard.status
                );
            }
            return Ok(());
        }
    };
    let expected = if as_json { 200 } else { 302 };
    if heard.status != expected {
        bail!("{expected} must be answered, not {} {body}", heard.status);
    }
    if heard.header("cache-control") != Some("no-store")
        || heard.header("referrer-policy") != Some("no-referrer")
    {
        bail!("it may be kept or told: {:?}", heard.headers);
    }
    let url = match (method, as_json) {
        ("HEAD", true) => return Ok(()),
        (_, true) => {
            let told: Value = serde_json::from_slice(&heard.body)?;
            told.get("url")
                .and_then(Value::as_str)
                .context("no url")?
                .to_owned()
        }
        (_, false) => place.context("no place")?.to_owned(),
    };
    let url = Url::parse(&url)?;
    let path = percent_decode_str(url.path()).decode_utf8()?.into_owned();
    let bucket = format!("/{}/", Platform::bucket(account));
    let file = format!("/{id}.wav");
    let of_account = path.starts_with(&bucket) && path.ends_with(&file);
    if !of_account || !known.endpoint.ends_with(url.authority()) {
        bail!("a URL of somebody else's: {path}");
    }
    Ok(())
}
