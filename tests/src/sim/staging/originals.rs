//! Reading originals.

use async_trait::async_trait;
use bytes::Bytes;
use recording::{Digests, Identity, Original, Originals, StagingFault, StagingPath};

use crate::sim::bucket::digests;
use crate::sim::call::Call;
use crate::sim::side::Side;
use crate::sim::staging::{broken, stale, unmounted};
use crate::sim::world::World;

/// One process's originals.
pub(crate) struct OriginalsPort(pub(crate) Side);

/// One open file.
struct OpenFile {
    side: Side,
    inode: u64,
    identity: Identity,
    path: String,
}

fn open(world: &mut World, path: &str) -> Result<(u64, Identity), StagingFault> {
    if let Some(fault) = unmounted(world) {
        return Err(fault);
    }
    let inode = world.files.paths.get(path).copied();
    let inode = inode.ok_or(StagingFault::Absent)?;
    let plain = world
        .files
        .inodes
        .get(&inode)
        .is_some_and(|file| file.plain);
    if plain {
        Ok((inode, world.files.identity(inode)))
    } else {
        Err(StagingFault::NotAPlainFile("a link".to_owned()))
    }
}

#[async_trait]
impl Originals for OriginalsPort {
    async fn open(&self, path: &StagingPath) -> Result<Box<dyn Original>, StagingFault> {
        let path = path.to_string();
        let about = path.clone();
        let opened = self
            .0
            .step(Call::Open, &about, move |world| open(world, &path))
            .await;
        let (inode, identity) = opened.map_err(|_| broken(&self.0))??;
        Ok(Box::new(OpenFile {
            side: self.0.clone(),
            inode,
            identity,
            path: about,
        }))
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        probe(&self.0).await
    }
}

/// Looks for the marker.
pub(crate) async fn probe(side: &Side) -> Result<(), StagingFault> {
    let probed = side
        .step(Call::StagingProbe, &"", |world| unmounted(world))
        .await;
    match probed.map_err(|_| stale())? {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

#[async_trait]
impl Original for OpenFile {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        let inode = self.inode;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let read = self
            .side
            .step(Call::Read, &self.path, move |world| {
                if world.files.unmounted_until > world.now() {
                    return Err(stale());
                }
                let content = world.files.content(inode);
                let bytes = content.get(from..from.saturating_add(len));
                bytes
                    .map(Bytes::copy_from_slice)
                    .ok_or(StagingFault::Changed)
            })
            .await;
        read.map_err(|_| broken(&self.side))?
    }

    async fn digests(&self) -> Result<Digests, StagingFault> {
        let size = usize::try_from(self.identity.size_bytes).unwrap_or(usize::MAX);
        let half = size / 2;
        // In two reads, so that a writer can come in between.
        let mut content = self.read(0, half).await?.to_vec();
        let offset = u64::try_from(half).unwrap_or(u64::MAX);
        content.extend_from_slice(&self.read(offset, size.saturating_sub(half)).await?);
        self.still_same().await?;
        Ok(digests(&content))
    }

    async fn still_same(&self) -> Result<(), StagingFault> {
        let (inode, identity) = (self.inode, self.identity.clone());
        let same = self
            .side
            .step(Call::StillSame, &self.path, move |world| {
                world.files.identity(inode) == identity
            })
            .await;
        if same.map_err(|_| broken(&self.side))? {
            Ok(())
        } else {
            Err(StagingFault::Changed)
        }
    }
}
