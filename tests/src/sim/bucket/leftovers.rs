//! Open uploads, as the sweep sees them.

use async_trait::async_trait;
use recording::{AccountId, Destination, Fault, Leftovers, ObjectKey, OpenUpload};

use super::bucket_of;
use super::look::{denied, unreachable};
use crate::sim::call::Call;
use crate::sim::side::Side;
use crate::sim::world::wall_at;

/// One process's sweeps.
pub(crate) struct LeftoverPort(pub(crate) Side);

#[async_trait]
impl Leftovers for LeftoverPort {
    async fn open_uploads(
        &self,
        destination: &Destination,
        account: &AccountId,
    ) -> Result<Vec<OpenUpload>, Fault> {
        let (bucket, prefix) = (bucket_of(destination), destination.key_prefix(account));
        let listed = self
            .0
            .step(Call::ListUploads, account, move |world| {
                let now = world.now();
                let store = world.buckets.get(&bucket)?;
                if store.denied_until > now {
                    return None;
                }
                let below = store
                    .uploads
                    .iter()
                    .filter(|(_, open)| open.key.starts_with(&prefix));
                let open = below.map(|(id, open)| OpenUpload {
                    key: ObjectKey::remembered(open.key.clone()),
                    upload_id: id.clone(),
                    begun_at: wall_at(open.begun_at),
                });
                Some(open.collect())
            })
            .await;
        match listed {
            Ok(Some(open)) => Ok(open),
            Ok(None) => Err(denied()),
            Err(lost) => Err(unreachable(&mut self.0.sim.world(), lost)),
        }
    }

    async fn abort(
        &self,
        destination: &Destination,
        _account: &AccountId,
        upload: &OpenUpload,
    ) -> Result<(), Fault> {
        let (bucket, id) = (bucket_of(destination), upload.upload_id.clone());
        let aborted = self
            .0
            .step(Call::AbortUpload, &upload.key, move |world| {
                let store = world.buckets.get_mut(&bucket);
                if let Some(store) = store
                    && store.uploads.remove(&id).is_some()
                {
                    world.truth.count("leftover aborted");
                }
            })
            .await;
        aborted.map_err(|lost| unreachable(&mut self.0.sim.world(), lost))
    }
}
