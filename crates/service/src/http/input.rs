//! What comes with a request, read strictly: parameters that are known, once each, and a body that
//! is the one JSON document that is asked for.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;
use url::form_urlencoded;

use super::page;
use super::problem::Problem;

/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest text that says why, in characters: so much of it the ledger keeps.
const SAID_MAX: usize = 2000;
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The parameters behind the question mark.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads them; only these names are known.
    pub(super) fn read(text: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let refuse = |why: &str| {
                Problem::malformed(format!("a parameter {why}"))
                    .field(shown(&name), why)
                    .hint(if known.is_empty() {
                        "there are none here".to_owned()
                    } else {
                        format!("there are {}", known.join(", "))
                    })
            };
            if !known.contains(&name.as_ref()) {
                return Err(refuse("is not known"));
            }
            if given.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(refuse("is there twice"));
            }
        }
        Ok(Self(given))
    }

    /// The text of one, if it is there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One by its own way of reading, if it is there.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let text = self.text(name);
        let read = |text: &str| text.parse().map_err(|error: T::Err| bad(name, &error));
        text.map(read).transpose()
    }

    /// Whether one is `true`; without it, it is not.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(bad(name, &"must be true or false")),
        }
    }

    /// How many are wanted on a page.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.parsed::<u32>("limit") {
            Ok(None) => Ok(page::USUAL),
            Ok(Some(limit)) if (1..=page::MOST).contains(&limit) => Ok(limit),
            Ok(Some(_)) | Err(_) => Err(bad("limit", &format!("must be from 1 to {}", page::MOST))),
        }
    }

    /// The place after which the page begins.
    pub(super) fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        self.text("after").map(page::place).transpose()
    }
}

/// A parameter that cannot be read.
pub(super) fn bad(name: &str, why: &impl ToString) -> Problem {
    let why = why.to_string();
    Problem::malformed(format!("`{name}` cannot be that")).field(name, why)
}

/// A name that a stranger wrote, short and plain.
fn shown(name: &str) -> String {
    let plain = name.chars().filter(char::is_ascii_graphic);
    plain.take(64).collect()
}

/// Reads a body within its limits of size and time.
pub(super) async fn body(request: Request<Body>) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    expect_json(&parts.headers)?;
    let reading = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(BODY_PATIENCE, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large("a body has at most 64 KiB"))
        }
        Ok(Err(_)) => Err(Problem::malformed("the body broke off")),
        Err(_) => Err(Problem::malformed("the body did not arrive in 10 s")),
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let mut words = kind.split(';').map(str::trim);
    let is_json = words
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && words.all(|word| word.eq_ignore_ascii_case("charset=utf-8"));
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    if is_json && encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    Err(Problem::not_json("it is not said to be plain JSON")
        .hint("send `Content-Type: application/json` and no Content-Encoding"))
}

/// Reads the document that a body must be.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader);
    let read = read.map_err(|error| {
        let path = error.path().to_string();
        let what = error.inner();
        // The library's words repeat a text that has the wrong type: it may be a secret.
        let why = match what.classify() {
            Category::Syntax | Category::Eof | Category::Io => {
                return Problem::malformed("the body is no JSON document")
                    .field("body", format!("breaks at line {}", what.line()));
            }
            Category::Data => plain(&what.to_string()),
        };
        let field = lacking(&path, &why).unwrap_or_else(|| shown(&path));
        Problem::impossible(format!("`{}` {why}", shown(&path))).field(field, why)
    })?;
    reader.end().map_err(|_| {
        Problem::malformed("the body is no JSON document").field("body", "goes on behind its end")
    })?;
    Ok(read)
}

/// The field that is not there, where that is what is wrong: its path ends at what should have it.
fn lacking(path: &str, why: &str) -> Option<String> {
    let name = why.strip_prefix("missing field `")?.strip_suffix('`')?;
    let within = path.trim_matches('.');
    Some(match within {
        "" => name.to_owned(),
        within => format!("{}.{name}", shown(within)),
    })
}

/// Why something is done: a text that is there, and that is kept whole and for ever.
pub(super) fn said<'a>(field: &str, text: &'a str) -> Result<&'a str, Problem> {
    let text = text.trim();
    let says = |c: char| !c.is_whitespace() && !c.is_control();
    if text.contains(says) && text.chars().count() <= SAID_MAX {
        return Ok(text);
    }
    let why = format!("must say why, in at most {SAID_MAX} characters");
    Err(Problem::impossible(format!("`{field}` {why}"))
        .field(field, why)
        .hint("it is kept for ever: a case or a ticket, and nothing that may have to go"))
}

/// What is wrong with the type of a value, without the value.
fn plain(said: &str) -> String {
    let said = said.split(" at line ").next().unwrap_or(said);
    if let Some((_, expected)) = said.split_once(", expected ") {
        return format!("must be {expected}");
    }
    if said.starts_with("missing field") || said.starts_with("duplicate field") {
        return said.to_owned();
    }
    "is none that can be".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[expect(dead_code, reason = "only its reading is tested")]
        name: String,
    }

    fn problem(body: &str) -> String {
        let problem = json::<Wish>(&Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        serde_json::to_string(&problem).unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_by_its_field_and_without_its_value() {
        assert!(json::<Wish>(&Bytes::from_static(b" {\"name\": \"x\"} \n")).is_ok());
        for (body, status, says) in [
            ("", 400, "no JSON document"),
            ("{\"name\": \"x\"", 400, "no JSON document"),
            ("{\"name\": \"x\"} {}", 400, "behind its end"),
            ("{\"name\": 4711}", 422, "must be a string"),
            ("{\"name\": [\"canary\"]}", 422, "must be a string"),
            ("{\"nome\": \"canary\"}", 422, "must be `name`"),
            (
                "{\"name\": \"canary\", \"name\": \"x\"}",
                422,
                "duplicate field",
            ),
            ("\"canary\"", 422, "must be struct Wish"),
            ("{}", 422, "\"field\":\"name\",\"message\":\"missing field"),
        ] {
            let said = problem(body);
            assert!(
                said.contains(&format!("\"status\":{status}")),
                "{body}: {said}"
            );
            assert!(said.contains(says), "{body}: {said}");
            assert!(!said.contains("canary") && !said.contains("4711"), "{said}");
        }
    }

    #[test]
    fn a_reason_says_something_and_is_kept_whole() {
        assert_eq!(said("why", " case 4711\n").unwrap(), "case 4711");
        let (longest, longer) = ("ä".repeat(SAID_MAX), "ä".repeat(SAID_MAX + 1));
        assert_eq!(said("why", &longest).unwrap(), longest);
        for bad in ["", " \t\n", "\0", "\u{7}\u{a0}", longer.as_str()] {
            let problem = serde_json::to_string(&said("why", bad).unwrap_err()).unwrap();
            let told = problem.contains("\"status\":422") && problem.contains("\"field\":\"why\"");
            assert!(told, "{problem}");
        }
    }

    #[test]
    fn parameters_are_known_and_there_once() {
        let known = ["limit", "after"];
        let limit = |text| Query::read(Some(text), &known).and_then(|query| query.limit());
        assert_eq!(limit("").unwrap(), page::USUAL);
        assert_eq!(limit("limit=7").unwrap(), 7);
        let flag = |text| Query::read(Some(text), &["all"]).and_then(|query| query.flag("all"));
        assert!(flag("all=true").unwrap());
        assert!(!flag("all=false").unwrap() && !flag("").unwrap());
        assert!(flag("all").is_err() && flag("all=1").is_err() && flag("all=True").is_err());
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=7&limit=7",
            "limt=7",
            "token=canary",
        ] {
            let said = serde_json::to_string(&limit(bad).unwrap_err()).unwrap();
            assert!(
                said.contains("\"status\":400") && !said.contains("canary"),
                "{said}"
            );
        }
    }
}
