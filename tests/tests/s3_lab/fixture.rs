//! What most tests start from.

use callferry_tests::s3::{Identity, Policy, Role, S3Lab};

use super::client::Client;

pub(crate) const OWNER: &str = "111122223333";
pub(crate) const BUCKET: &str = "calls";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/recordings";
pub(crate) const EXTERNAL_ID: &str = "cf-4711";

/// A server with one bucket, its owner (who may do everything), the platform's identity (who may do
/// nothing in S3) and a role the platform may assume.
pub(crate) struct Fixture {
    pub(crate) lab: S3Lab,
    pub(crate) owner: Client,
    pub(crate) platform: Client,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let lab = S3Lab::start().await.unwrap();
        lab.create_bucket(BUCKET, OWNER).unwrap();
        register(&lab);
        let owner = Client::new(&lab.endpoint(), "AKIDOWNER", "owner-secret");
        let platform = Client::new(&lab.endpoint(), "AKIDPLATFORM", "platform-secret");
        Self {
            lab,
            owner,
            platform,
        }
    }
}

pub(crate) fn register(lab: &S3Lab) {
    let owner = Identity::new("AKIDOWNER", "owner-secret").allowed(Policy::everything());
    lab.put_identity(owner);
    lab.put_identity(Identity::new("AKIDPLATFORM", "platform-secret").named("callferry"));
    let actions = [
        "s3:PutObject",
        "s3:GetObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ];
    let role = Role::new(ROLE, Policy::bucket(BUCKET, "", &actions));
    lab.put_role(role.external_id(EXTERNAL_ID).trusting("callferry"));
}

/// Bytes that repeat late and hash like anything else.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
