//! Listings, a page at a time.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How many on a page, unless it is said.
pub(super) const USUAL: u32 = 100;
/// How many at most.
pub(super) const MOST: u32 = 1000;

/// One page of a listing.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    /// What is on it.
    items: Vec<T>,
    /// What to send as `after` for the next one; null on the last.
    next: Option<String>,
}

impl<T> Page<T> {
    /// Everything there is.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// Of one item more than fit, those that fit, and where to go on behind the last of them.
    pub(super) fn cut<C: Serialize>(
        mut items: Vec<T>,
        limit: u32,
        place: impl Fn(&T) -> C,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if items.len() <= limit {
            return Self::whole(items);
        }
        items.truncate(limit);
        let next = items.last().map(|last| cursor(&place(last)));
        Self { items, next }
    }

    /// The same page of other things.
    pub(super) fn map<U>(self, other: impl Fn(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(other).collect(),
            next: self.next,
        }
    }
}

/// A place in a listing, as callers carry it: they need not understand it.
fn cursor(place: &impl Serialize) -> String {
    // Places are texts and numbers: they can always be written.
    let text = serde_json::to_vec(place).unwrap_or_default();
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Reads what [`Page::cut`] gave out.
pub(super) fn place<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| {
        let why = "is not one that a page of this listing gave out";
        Problem::malformed(format!("`after` {why}"))
            .field("after", why)
            .hint("send `next` of the page before, as it is")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins_and_the_last_one_that_there_is_none() {
        let page = Page::cut(vec!["a", "b", "c"], 2, |last| (*last).to_owned());
        assert_eq!(page.items, ["a", "b"]);
        assert_eq!(place::<String>(&page.next.unwrap()).unwrap(), "b");
        let page = Page::cut(vec!["a", "b"], 2, |last| (*last).to_owned());
        assert_eq!((page.items.len(), page.next), (2, None));
        for bad in ["", "!", "bm8", "eyJhIjoxfQ"] {
            assert!(place::<String>(bad).is_err(), "{bad}");
        }
    }
}
