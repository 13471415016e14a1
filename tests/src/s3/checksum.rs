//! Checksums: what a client claims about its bytes, what they really are, and whether that agrees.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use http::HeaderMap;
use md5::{Digest, Md5};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The checksums S3 knows and this server verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc64Nvme,
    Crc32,
    Crc32c,
    Sha256,
}

/// What a request says about its body, base64 as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) md5: Option<String>,
    pub(crate) checksum: Option<(Algorithm, String)>,
    /// The checksum comes after the body.
    trailer: Option<Algorithm>,
}

/// What a body turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) crc64: u64,
    pub(crate) md5: Option<[u8; 16]>,
    /// The checksum of the claimed algorithm, when that is not CRC64NVME; base64.
    pub(crate) other: Option<(Algorithm, String)>,
}

/// One pass over a body.
pub(crate) struct Hashing {
    size: u64,
    crc64: Crc,
    md5: Option<Md5>,
    other: Option<Other>,
}

enum Other {
    Crc(Algorithm, Crc),
    Sha256(Sha256),
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Crc64Nvme, Self::Crc32, Self::Crc32c, Self::Sha256];

    /// The name as S3 writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of that name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.name().eq_ignore_ascii_case(name))
    }

    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    fn bytes(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32 | Self::Crc32c => 4,
            Self::Sha256 => 32,
        }
    }
}

impl Claims {
    /// Reads the headers.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if headers.contains_key("x-amz-checksum-sha1") {
            return Err(s3_error!(NotImplemented, "SHA1 is not emulated"));
        }
        let mut claims = Self {
            md5: text("content-md5").map(ToOwned::to_owned),
            ..Self::default()
        };
        for algorithm in Algorithm::ALL {
            let Some(value) = text(&algorithm.header()) else {
                continue;
            };
            if claims.checksum.is_some() {
                let message = "Expecting a single x-amz-checksum- header";
                return Err(s3_error!(InvalidRequest, "{message}"));
            }
            claims.checksum = Some((algorithm, value.to_owned()));
        }
        if let Some(name) = text("x-amz-trailer") {
            let mut all = Algorithm::ALL.into_iter();
            claims.trailer = all.find(|it| it.header().eq_ignore_ascii_case(name.trim()));
        }
        Ok(claims)
    }

    /// Adds what came after the body.
    pub(crate) fn read_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(algorithm) = self.trailer
            && let Some(value) = trailers.get(algorithm.header())
            && let Ok(value) = value.to_str()
        {
            self.checksum = Some((algorithm, value.to_owned()));
        }
    }

    /// The algorithm that was or will be claimed.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        let claimed = self.checksum.as_ref().map(|(algorithm, _)| *algorithm);
        claimed.or(self.trailer)
    }

    /// A bucket whose objects are locked by default takes nothing that could not be verified.
    pub(crate) fn fit_for(&self, locking: bool) -> S3Result<()> {
        if locking && self.md5.is_none() && self.algorithm().is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests \
                 with Object Lock parameters"
            ));
        }
        Ok(())
    }

    /// Whether the body is what the request says.
    pub(crate) fn verify(&self, digests: &Digests) -> S3Result<()> {
        if let Some(claimed) = &self.md5 {
            let Some(wanted) = decoded(claimed, 16) else {
                return Err(s3_error!(InvalidDigest, "Content-MD5 is invalid"));
            };
            if digests.md5.is_none_or(|md5| md5.as_slice() != wanted) {
                return Err(s3_error!(BadDigest, "Content-MD5 did not match"));
            }
        }
        let Some((algorithm, claimed)) = &self.checksum else {
            return Ok(());
        };
        if decoded(claimed, algorithm.bytes()).is_none() {
            let name = algorithm.header();
            return Err(s3_error!(
                InvalidRequest,
                "Value for {name} header is invalid."
            ));
        }
        if digests.value(*algorithm).as_ref() == Some(claimed) {
            return Ok(());
        }
        let name = algorithm.name();
        Err(s3_error!(
            BadDigest,
            "the {name} you specified did not match"
        ))
    }
}

impl Digests {
    /// The value of a checksum, base64, if it was computed.
    pub(crate) fn value(&self, algorithm: Algorithm) -> Option<String> {
        if algorithm == Algorithm::Crc64Nvme {
            return Some(crc64_text(self.crc64));
        }
        let (other, value) = self.other.as_ref()?;
        (*other == algorithm).then(|| value.clone())
    }
}

impl Hashing {
    /// Always CRC64NVME; MD5 if wanted; and the claimed algorithm.
    pub(crate) fn new(md5: bool, algorithm: Option<Algorithm>) -> Self {
        let other = match algorithm {
            Some(crc @ Algorithm::Crc32) => {
                Some(Other::Crc(crc, Crc::new(CrcAlgorithm::Crc32IsoHdlc)))
            }
            Some(crc @ Algorithm::Crc32c) => {
                Some(Other::Crc(crc, Crc::new(CrcAlgorithm::Crc32Iscsi)))
            }
            Some(Algorithm::Sha256) => Some(Other::Sha256(Sha256::new())),
            Some(Algorithm::Crc64Nvme) | None => None,
        };
        Self {
            size: 0,
            crc64: Crc::new(CrcAlgorithm::Crc64Nvme),
            md5: md5.then(Md5::new),
            other,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(length(bytes));
        self.crc64.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        match &mut self.other {
            Some(Other::Crc(_, crc)) => crc.update(bytes),
            Some(Other::Sha256(sha)) => sha.update(bytes),
            None => {}
        }
    }

    pub(crate) fn finish(self) -> Digests {
        let other = self.other.map(|other| match other {
            Other::Crc(algorithm, crc) => {
                let value = u32::try_from(crc.finalize()).unwrap_or_default();
                (algorithm, STANDARD.encode(value.to_be_bytes()))
            }
            Other::Sha256(sha) => (Algorithm::Sha256, STANDARD.encode(sha.finalize())),
        });
        Digests {
            size: self.size,
            crc64: self.crc64.finalize(),
            md5: self.md5.map(|md5| md5.finalize().into()),
            other,
        }
    }
}

/// A CRC64NVME as S3 writes it: base64 of the big-endian bytes.
pub(crate) fn crc64_text(crc: u64) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// The checksum of two parts one after the other.
pub(crate) fn crc64_joined(first: u64, second: u64, second_size: u64) -> u64 {
    checksum_combine(CrcAlgorithm::Crc64Nvme, first, second, second_size)
}

/// MD5 of the parts' MD5s, as multipart `ETags` are made.
pub(crate) fn etag_of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut md5 = Md5::new();
    let mut count = 0_u32;
    for etag in parts {
        md5.update(hex::decode(etag).unwrap_or_default());
        count += 1;
    }
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// SHA-256 of the parts' SHA-256s, as composite checksums are made.
pub(crate) fn composite_sha256<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut sha = Sha256::new();
    let mut count = 0_u32;
    for value in parts {
        sha.update(STANDARD.decode(value).unwrap_or_default());
        count += 1;
    }
    format!("{}-{count}", STANDARD.encode(sha.finalize()))
}

/// How many bytes, in 64 bits.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn decoded(text: &str, size: usize) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (bytes.len() == size).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_checksums_are_the_checksum_of_the_whole() {
        let mut whole = Hashing::new(false, None);
        let mut head = Hashing::new(false, None);
        let mut tail = Hashing::new(false, None);
        whole.update(b"recording of a call");
        head.update(b"recording ");
        tail.update(b"of a call");
        let (head, tail) = (head.finish(), tail.finish());
        let joined = crc64_joined(head.crc64, tail.crc64, tail.size);
        assert_eq!(joined, whole.finish().crc64);
    }

    #[test]
    fn checksums_are_written_as_s3_writes_them() {
        let mut hashing = Hashing::new(true, Some(Algorithm::Crc32));
        hashing.update(b"123456789");
        let digests = hashing.finish();
        assert_eq!(digests.value(Algorithm::Crc32).unwrap(), "y/Q5Jg==");
        assert_eq!(
            digests.crc64.to_be_bytes(),
            0xae8b_1486_0a79_9888_u64.to_be_bytes()
        );
        let md5 = hex::encode(digests.md5.unwrap());
        assert_eq!(md5, "25f9e794323b453885f5181f1b624d0b");
    }
}
