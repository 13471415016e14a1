//! Lists of blocks: asked for, and sent to be put together.

use std::fmt::Write;

use http::{Method, header};
use quick_xml::escape::escape;
use recording::{Block, Fault, Operation, ParkReason};
use serde::Deserialize;

use crate::azure::container::Blob;
use crate::exchange::Trouble;
use crate::s3::parse;

/// 100,000 uncommitted blocks are the most that a blob can have.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Which blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::azure) enum Which {
    /// Those the blob consists of.
    Committed,
    /// Those that were sent and belong to nothing yet.
    Uncommitted,
}

/// The blocks of a blob.
#[derive(Debug)]
pub(in crate::azure) struct Listed {
    /// The entity tag of the blob, if there is one besides uncommitted blocks.
    pub(in crate::azure) etag: Option<String>,
    /// In order, if they are committed.
    pub(in crate::azure) blocks: Vec<Block>,
}

/// `<BlockList>`.
#[derive(Debug, Deserialize)]
struct BlockList {
    #[serde(rename = "CommittedBlocks", default)]
    committed: Blocks,
    #[serde(rename = "UncommittedBlocks", default)]
    uncommitted: Blocks,
}

#[derive(Debug, Default, Deserialize)]
struct Blocks {
    #[serde(rename = "Block", default)]
    blocks: Vec<ListedBlock>,
}

/// `<Block>`.
#[derive(Debug, Deserialize)]
struct ListedBlock {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Size")]
    size: u64,
}

impl Blob<'_> {
    /// Lists the blob's blocks.
    pub(in crate::azure) async fn list_blocks(&self, which: Which) -> Result<Listed, Trouble> {
        let query = match which {
            Which::Committed => "comp=blocklist&blocklisttype=committed",
            Which::Uncommitted => "comp=blocklist&blocklisttype=uncommitted",
        };
        let ask = self.ask(Operation::List, Method::GET, query);
        let mut ask = ask.map_err(Trouble::Never)?;
        ask.answer_bytes_max = ANSWER_BYTES_MAX;
        let answer = self.exchange(&ask).await?;
        let Some(blocks) = understood(&answer.body, which) else {
            let detail = "list: the answer cannot be understood";
            let fault = Fault::new(ParkReason::OutcomeUnknown, detail);
            return Err(Trouble::Never(fault));
        };
        let etag = answer.text(header::ETAG.as_str());
        Ok(Listed {
            etag: etag.map(ToOwned::to_owned),
            blocks,
        })
    }
}

fn understood(body: &[u8], which: Which) -> Option<Vec<Block>> {
    // Azure's documents begin with a byte order mark.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let list: BlockList = parse(body)?;
    let blocks = match which {
        Which::Committed => list.committed,
        Which::Uncommitted => list.uncommitted,
    };
    let block = |listed: ListedBlock| Block {
        id: listed.name,
        size_bytes: listed.size,
    };
    Some(blocks.blocks.into_iter().map(block).collect())
}

/// What a commit says: these blocks, in this order, and only as they were sent for it.
pub(super) fn document(blocks: &[Block]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for block in blocks {
        let id = escape(block.id.as_str());
        let written = write!(text, "<Uncommitted>{id}</Uncommitted>");
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    text.push_str("</BlockList>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_and_without_blocks_and_nothing_else_is_one() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\
            <CommittedBlocks><Block><Name>QQ==</Name><Size>5</Size></Block>\
            <Block><Name>Qg==</Name><Size>4</Size></Block></CommittedBlocks>\
            <UncommittedBlocks /></BlockList>";
        let committed = understood(body.as_bytes(), Which::Committed).unwrap();
        assert_eq!(committed.len(), 2);
        assert_eq!(
            (committed[1].id.as_str(), committed[1].size_bytes),
            ("Qg==", 4)
        );
        let uncommitted = understood(body.as_bytes(), Which::Uncommitted).unwrap();
        assert!(uncommitted.is_empty());
        let none = b"<BlockList><CommittedBlocks/></BlockList>";
        assert!(understood(none, Which::Committed).unwrap().is_empty());
        assert!(understood(b"<BlockList><CommittedBlocks>", Which::Committed).is_none());
        assert!(understood(b"not xml", Which::Committed).is_none());
        assert!(understood(b"", Which::Committed).is_none());
    }

    #[test]
    fn a_commit_names_its_blocks_in_order() {
        let block = |id: &str| Block {
            id: id.to_owned(),
            size_bytes: 1,
        };
        let text = document(&[block("Qg=="), block("QQ==")]);
        let blocks = "<Uncommitted>Qg==</Uncommitted><Uncommitted>QQ==</Uncommitted>";
        assert!(text.contains(blocks), "{text}");
    }
}
