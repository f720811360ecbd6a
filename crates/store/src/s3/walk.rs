//! Listing a bucket by pages. Refuses a listing that is out of order, that has what was not asked for, or that does
//! not come to an end: whoever deletes by a listing must be able to lean on it.

use super::Inner;
use super::trouble::{Meaning, Trouble};
use crate::{LIST_MAX, ObjectInfo, ObjectName, StoreError};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore as _};
use std::io;

/// The longest page that S3 gives.
const PAGE_MAX: usize = 1_000;

/// See `Store::list`.
pub(super) async fn list(
    inner: &Inner,
    prefix: &str,
    after: Option<&ObjectName>,
    limit: usize,
) -> Result<Vec<ObjectInfo>, StoreError> {
    let limit = limit.min(LIST_MAX);
    let failed = |cause: io::Error| StoreError::List { prefix: prefix.to_owned(), cause: inner.in_place(&cause) };
    // No name has other letters, and a server might read them in its own way.
    if limit == 0 || !prefix.bytes().all(|byte| byte == b'/' || ObjectName::has_letter(byte)) {
        return Ok(Vec::new());
    }
    let asked = format!("{}{prefix}", inner.prefix);
    let offset = after.map(|name| format!("{}{}", inner.prefix, name.as_str()));
    let mut walk = Walk { last: offset.clone().unwrap_or_default(), token: None, found: Vec::new() };
    loop {
        let options = PaginatedListOptions {
            offset: offset.clone(),
            max_keys: Some(PAGE_MAX.min(limit - walk.found.len())),
            page_token: walk.token.clone(),
            ..PaginatedListOptions::default()
        };
        let page = inner.patience.until_done(async || page(inner, &asked, options.clone()).await).await;
        let page = page.map_err(|failure| match failure.trouble.meaning() {
            Meaning::NoObject => failed(failure.into_io()),
            _ => inner.common(failure).unwrap_or_else(|failure| failed(failure.into_io())),
        })?;
        let is_last = walk.take(page, &asked, &inner.prefix).map_err(failed)?;
        if is_last || walk.found.len() >= limit {
            walk.found.truncate(limit);
            return Ok(walk.found);
        }
    }
}

/// The first few keys that begin with the text, by one request.
pub(super) async fn keys_at(inner: &Inner, text: &str, max: usize) -> Result<Vec<String>, Trouble> {
    let options = PaginatedListOptions { max_keys: Some(max.min(PAGE_MAX)), ..PaginatedListOptions::default() };
    let page = page(inner, text, options).await?;
    Ok(page.result.objects.into_iter().map(|object| object.location.to_string()).collect())
}

async fn page(inner: &Inner, prefix: &str, options: PaginatedListOptions) -> Result<PaginatedListResult, Trouble> {
    inner.patience.timed(base::Bytes(0), inner.client.list_paginated(Some(prefix), options)).await
}

/// How far a listing has come.
struct Walk {
    /// The last key seen.
    last: String,
    token: Option<String>,
    found: Vec<ObjectInfo>,
}

impl Walk {
    /// Adds a page. Tells whether it was the last.
    ///
    /// # Errors
    /// A sentence about what is wrong with the listing.
    fn take(&mut self, page: PaginatedListResult, asked: &str, store: &str) -> io::Result<bool> {
        let wrong = |sentence: String| Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
        for object in page.result.objects {
            let key = object.location.as_ref();
            // A console makes folders of empty objects whose keys end with a slash, which the library takes away.
            let folder = format!("{key}/");
            let fits = |key: &str| key.starts_with(asked) && (self.last.is_empty() || *key > *self.last);
            if fits(key) {
                key.clone_into(&mut self.last);
                // What is no name of an object is the store's own, or a stranger's.
                if let Ok(name) = ObjectName::new(&key[store.len()..]) {
                    self.found.push(ObjectInfo { name, size: base::Bytes(object.size) });
                }
            } else if object.size == 0 && fits(&folder) {
                self.last = folder;
            } else if key.starts_with(asked) {
                return wrong(format!(
                    "the server listed {key:?} after {:?}: its listings are out of order",
                    self.last
                ));
            } else {
                return wrong(format!("the server listed {key:?}, which does not begin with {asked:?}"));
            }
        }
        if page.page_token.is_some() && page.page_token == self.token {
            return wrong("the server gave the same page twice: its listings do not end".to_owned());
        }
        self.token = page.page_token;
        Ok(self.token.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;
    use object_store::{ListResult, ObjectMeta};

    fn page(keys: &[&str], token: Option<&str>) -> PaginatedListResult {
        let object = |key: &&str| ObjectMeta {
            location: Path::parse(key).expect("a plain key"),
            last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            size: 7,
            e_tag: None,
            version: None,
        };
        let objects = keys.iter().map(object).collect();
        let result = ListResult { common_prefixes: Vec::new(), objects, extensions: Default::default() };
        PaginatedListResult { result, page_token: token.map(str::to_owned) }
    }

    fn check(after: &str, pages: &[(&[&str], Option<&str>)]) -> Result<Vec<String>, String> {
        let mut walk = Walk { last: after.to_owned(), token: None, found: Vec::new() };
        for (keys, token) in pages {
            let is_last = walk.take(page(keys, *token), "s/a", "s/").map_err(|error| error.to_string())?;
            assert_eq!(is_last, token.is_none());
        }
        Ok(walk.found.iter().map(|info| info.name.to_string()).collect())
    }

    /// One page with these keys and sizes.
    fn listed(asked: &str, keys: &[(&str, u64)]) -> io::Result<Vec<String>> {
        let mut page = page(&keys.iter().map(|(key, _)| *key).collect::<Vec<_>>(), None);
        for (object, (_, size)) in page.result.objects.iter_mut().zip(keys) {
            object.size = *size;
        }
        let mut walk = Walk { last: String::new(), token: None, found: Vec::new() };
        walk.take(page, asked, "s/")?;
        Ok(walk.found.iter().map(|info| info.name.to_string()).collect())
    }

    #[test]
    fn pages_are_joined_and_strangers_left_out() {
        let pages = [(&["s/a", "s/aA", "s/ab"][..], Some("1")), (&[][..], Some("2")), (&["s/ac"][..], None)];
        assert_eq!(check("", &pages).expect("a good listing"), ["a", "ab", "ac"]);
    }

    #[test]
    fn a_listing_that_cannot_be_leaned_on_is_refused() {
        let refused = |after: &str, pages: &[(&[&str], Option<&str>)], sentence: &str| {
            let error = check(after, pages).expect_err(sentence);
            assert!(error.contains(sentence), "{error}");
        };
        refused("", &[(&["s/ab", "s/aa"], None)], "out of order");
        refused("", &[(&["s/aa", "s/aa"], None)], "out of order");
        refused("", &[(&["s/ab"], Some("1")), (&["s/aa"], None)], "out of order");
        refused("s/ab", &[(&["s/ab"], None)], "out of order");
        refused("", &[(&["s/b"], None)], "does not begin with");
        assert_eq!(listed("s/a/", &[("s/a", 0), ("s/a/b", 1)]).expect("a console's folder"), ["a/b"]);
        assert_eq!(listed("s/a", &[("s/a-b", 1), ("s/a", 0), ("s/a/b", 1)]).expect("another"), ["a-b", "a/b"]);
        assert!(listed("s/a/", &[("s/a", 7)]).is_err(), "no folder has bytes");
        let error = check("", &[(&["s/a"], Some("1")), (&["s/ab"], Some("1"))]).expect_err("it would never end");
        assert!(error.contains("do not end"), "{error}");
    }
}
