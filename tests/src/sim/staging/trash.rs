//! The trash. Moving in is two steps, with room for a crash or a freeze between them.

use async_trait::async_trait;
use recording::{
    Digests, Identity, Moved, RecordingKey, Releasable, StagingFault, StagingPath, Trash,
    TrashEntry,
};
use uuid::Uuid;

use super::originals::probe;
use super::{Discarded, broken, stale, unmounted};
use crate::sim::bucket::digests;
use crate::sim::call::Call;
use crate::sim::mutant::Mutant;
use crate::sim::oracle;
use crate::sim::side::Side;
use crate::sim::world::World;

/// One process's trash.
pub(crate) struct TrashPort(pub(crate) Side);

/// What was copied.
#[derive(Debug, Clone)]
struct Copied {
    identity: Identity,
    digests: Digests,
}

impl Copied {
    fn new(permission: &Releasable) -> Self {
        Self {
            identity: permission.identity().clone(),
            digests: *permission.digests(),
        }
    }

    fn is(&self, world: &World, inode: u64) -> bool {
        world.mutated(Mutant::CarelessTrash)
            || world.files.identity(inode) == self.identity
            || digests(&world.files.content(inode)) == self.digests
    }
}

enum Shift {
    Done,
    Missing,
    NotPlain,
    Taken,
}

fn entries(world: &World, wanted: impl Fn(&RecordingKey, &Discarded) -> bool) -> Vec<TrashEntry> {
    let names = world.files.trash.iter();
    names
        .filter(|((key, _), discarded)| wanted(key, discarded))
        .map(|((key, token), _)| TrashEntry {
            key: key.clone(),
            token: *token,
            compared: None,
        })
        .collect()
}

fn move_in(world: &mut World, path: &str, entry: &TrashEntry) -> Result<Shift, StagingFault> {
    if let Some(fault) = unmounted(world) {
        return match fault {
            StagingFault::Absent => Ok(Shift::Missing),
            StagingFault::Unavailable(_)
            | StagingFault::NotAPlainFile(_)
            | StagingFault::Unreadable(_)
            | StagingFault::Changed => Err(fault),
        };
    }
    let name = (entry.key.clone(), entry.token);
    if world.files.trash.contains_key(&name) {
        return Ok(Shift::Taken);
    }
    let Some(inode) = world.files.paths.get(path).copied() else {
        return Ok(Shift::Missing);
    };
    if !world.files.inodes.get(&inode).is_some_and(|f| f.plain) {
        return Ok(Shift::NotPlain);
    }
    world.files.paths.remove(path);
    let since = world.now();
    world.files.trash.insert(name, Discarded { inode, since });
    world.say(format_args!("  inode {inode} into the trash"));
    Ok(Shift::Done)
}

/// `None`: no such entry; `false`: the path is taken.
fn put_back(world: &mut World, entry: &TrashEntry, path: &str) -> Option<bool> {
    let name = (entry.key.clone(), entry.token);
    let inode = world.files.trash.get(&name)?.inode;
    if world.files.paths.contains_key(path) {
        return Some(false);
    }
    world.files.trash.remove(&name);
    world.files.paths.insert(path.to_owned(), inode);
    world.say(format_args!("  inode {inode} back to {path}"));
    Some(true)
}

impl TrashPort {
    async fn same(&self, entry: &TrashEntry, copied: Copied) -> Result<Option<bool>, StagingFault> {
        let name = (entry.key.clone(), entry.token);
        let compared = self
            .0
            .step(Call::Compare, &entry.key, move |world| {
                if world.files.unmounted_until > world.now() {
                    return Err(stale());
                }
                let inode = world.files.trash.get(&name).map(|one| one.inode);
                Ok(inode.map(|inode| copied.is(world, inode)))
            })
            .await;
        compared.map_err(|_| broken(&self.0))?
    }

    /// The last thing before a file is moved or deleted: ground truth must agree with the fence.
    fn touches(&self, key: &RecordingKey, token: Uuid) {
        let mut world = self.0.sim.world();
        oracle::touches(&mut world, key, token);
    }
}

#[async_trait]
impl Trash for TrashPort {
    async fn find(&self, key: &RecordingKey) -> Result<Vec<TrashEntry>, StagingFault> {
        let wanted = key.clone();
        let found = self
            .0
            .step(Call::TrashFind, key, move |world| match unmounted(world) {
                Some(StagingFault::Absent) => Ok(Vec::new()),
                Some(fault) => Err(fault),
                None => Ok(entries(world, |key, _| *key == wanted)),
            })
            .await;
        found.map_err(|_| broken(&self.0))?
    }

    async fn list(&self, older_than_s: u64, limit: usize) -> Result<Vec<TrashEntry>, StagingFault> {
        let listed = self
            .0
            .step(Call::TrashList, &"", move |world| {
                if let Some(fault) = unmounted(world) {
                    return Err(fault);
                }
                let now = world.now();
                let old = |one: &Discarded| now.saturating_sub(one.since).as_secs() >= older_than_s;
                let mut old = entries(world, |_, one| old(one));
                old.truncate(limit);
                Ok(old)
            })
            .await;
        listed.map_err(|_| stale())?
    }

    async fn take_over(
        &self,
        entry: TrashEntry,
        token: Uuid,
    ) -> Result<Option<TrashEntry>, StagingFault> {
        self.touches(&entry.key, token);
        let about = entry.key.clone();
        let taken = self
            .0
            .step(Call::TakeOver, &about, move |world| {
                if world.files.unmounted_until > world.now() {
                    return Err(stale());
                }
                let since = world.now();
                let old = world.files.trash.remove(&(entry.key.clone(), entry.token));
                let Some(Discarded { inode, .. }) = old else {
                    return Ok(None);
                };
                let name = (entry.key.clone(), token);
                world.files.trash.insert(name, Discarded { inode, since });
                Ok(Some(TrashEntry {
                    key: entry.key,
                    token,
                    compared: None,
                }))
            })
            .await;
        taken.map_err(|_| broken(&self.0))?
    }

    async fn move_in(
        &self,
        path: &StagingPath,
        permission: &Releasable,
    ) -> Result<Moved, StagingFault> {
        let entry = TrashEntry {
            key: permission.key().clone(),
            token: permission.token(),
            compared: None,
        };
        self.touches(&entry.key, entry.token);
        let (from, to) = (path.to_string(), entry.clone());
        let shifted = self
            .0
            .step(Call::MoveIn, &entry.key, move |world| {
                move_in(world, &from, &to)
            })
            .await;
        match shifted.map_err(|_| broken(&self.0))?? {
            Shift::Done => {}
            Shift::Missing => return Ok(Moved::Absent),
            Shift::NotPlain => return Ok(Moved::NotTheSame),
            Shift::Taken => return Err(stale()),
        }
        if self.same(&entry, Copied::new(permission)).await? == Some(true) {
            return Ok(Moved::Moved(entry));
        }
        let (back, to) = (entry.clone(), path.to_string());
        let moved_back = self
            .0
            .step(Call::PutBack, &entry.key, move |world| {
                put_back(world, &back, &to)
            })
            .await;
        // Taken meanwhile: both files are kept, this one in the trash.
        moved_back
            .map(|_| Moved::NotTheSame)
            .map_err(|_| broken(&self.0))
    }

    async fn compare(
        &self,
        entry: &TrashEntry,
        permission: &Releasable,
    ) -> Result<Option<TrashEntry>, StagingFault> {
        let same = self.same(entry, Copied::new(permission)).await?;
        Ok((same == Some(true)).then(|| entry.clone()))
    }

    async fn in_place(
        &self,
        path: &StagingPath,
        identity: &Identity,
    ) -> Result<bool, StagingFault> {
        let (at, identity) = (path.to_string(), identity.clone());
        let there = self
            .0
            .step(Call::InPlace, path, move |world| {
                match unmounted(world) {
                    Some(StagingFault::Absent) => return Ok(false),
                    Some(fault) => return Err(fault),
                    None => {}
                }
                let inode = world.files.paths.get(&at);
                Ok(inode.is_some_and(|inode| world.files.identity(*inode) == identity))
            })
            .await;
        there.map_err(|_| broken(&self.0))?
    }

    async fn put_back(&self, entry: &TrashEntry, path: &StagingPath) -> Result<bool, StagingFault> {
        let (back, to) = (entry.clone(), path.to_string());
        let done = self
            .0
            .step(Call::PutBack, &entry.key, move |world| {
                match unmounted(world) {
                    Some(fault) => Err(fault),
                    None => put_back(world, &back, &to).ok_or(StagingFault::Absent),
                }
            })
            .await;
        done.map_err(|_| broken(&self.0))?
    }

    async fn unlink(&self, entry: TrashEntry, permission: Releasable) -> Result<(), StagingFault> {
        if (&entry.key, entry.token) != (permission.key(), permission.token()) {
            return Err(stale());
        }
        self.touches(&entry.key, entry.token);
        let about = entry.key.clone();
        let gone = self
            .0
            .step(Call::Unlink, &about, move |world| {
                if let Some(fault) = unmounted(world) {
                    return Err(fault);
                }
                oracle::unlinks(world, &entry);
                world.files.trash.remove(&(entry.key, entry.token));
                Ok(())
            })
            .await;
        gone.map_err(|_| broken(&self.0))?
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        probe(&self.0).await
    }
}
