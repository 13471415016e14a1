//! Destinations: immutable revisions, and the pinning of what waited for one.

use chrono::{DateTime, Utc};
use recording::{
    AccountId, Approval, AzureContainer, Destination, DestinationOwner, Encryption, S3Bucket, Store,
};
use serde::{Serialize, Serializer};
use tokio_postgres::Row;
use tokio_postgres::types::Timestamp;
use uuid::Uuid;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::checks::check;
use crate::destination_checks::{CheckView, approve, keep};
use crate::failure::{Failure, corrupt};
use crate::keyring::{KeyRing, Sealed};
use crate::places::{Space, place};
use crate::pool::Lent;
use crate::rows::{get, optional_word, unsigned};
use crate::set_up::external_id;
use crate::stores::{Parts, destination, destination_columns};
use crate::succession::succeed;

/// How many waiting rows one statement pins.
const BATCH: i64 = 500;

/// Two owners that share a bucket must see each other: destinations are set one at a time.
pub(crate) const LOCK: &str = "-- name: lock_destinations
    select pg_advisory_xact_lock(7305829130422252)";

/// What somebody insisted on (a misspelt bucket, say), which no check ever found usable, that
/// holds no recording and is not in force any more, keeps nobody from a bucket of their own.
pub(crate) const NEIGHBOURS: &str = "-- name: destination_neighbours
    select distinct account_id as destination_account, account_leads_key, prefix
      from destinations d
     where place = $1 and account_id is distinct from $2
       and not (account_id is not null and in_force_from <= now()
                and revision <> destination_in_force(account_id, now())
                and exists (select from destination_checks c
                     where c.revision = d.revision and c.forced and not c.usable)
                and not exists (select from destination_checks c
                     where c.revision = d.revision and c.usable)
                and not exists (select from recordings r
                     where r.account_id = d.account_id and r.destination_revision = d.revision))";

/// What decides from when a new revision is in force.
const BEFORE: &str = "-- name: destinations_before
    select exists (select from destinations where account_id is not distinct from $1) as is_later,
           exists (select from recordings
                    where account_id = $1 and destination_revision is not null) as has_pinned";

macro_rules! columns {
    () => {
        concat!(
            "d.set_at, nullif(d.in_force_from, '-infinity') as in_force_from, ",
            destination_columns!()
        )
    };
}

const INSERT: &str = concat!(
    "-- name: set_destination
    insert into destinations as d (account_id, place, account_leads_key, external_id,
        in_force_from, endpoint, prefix, cloud, bucket, region, role_arn, kms_key, storage_class,
        expected_owner, storage_account, container, identity, tenant_id, client_id, secret_id,
        secret_key_id, secret_wrapped_key, secret_sealed, sse, bucket_key, tags,
        bucket_owner_full_control)
    values ($1, $2, $3, $4, coalesce($5, now()), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
    returning ",
    columns!()
);

const LIST: &str = concat!(
    "-- name: list_destinations
    select ",
    columns!(),
    "from destinations d where d.account_id is not distinct from $1 order by d.revision"
);

const SHOW: &str = concat!(
    "-- name: show_destination
    select ",
    columns!(),
    "from destinations d where d.revision = destination_in_force($1, now())"
);

const PIN: &str = "-- name: pin_waiting
with waiting as materialized (
    select account_id, recording_id from recordings
     where destination_revision is null and ($1::text is null or account_id = $1)
       -- What an erasure has begun to take was never anywhere, and goes nowhere any more.
       and original_erasure_began_at is null
       -- A row that waits for the default may have a destination of its own by now.
       and destination_in_force(account_id, least(completed_at, now())) = $2
     order by account_id, recording_id limit $3 for update
)
update recordings r set
    destination_revision = $2, next_attempt_at = now(), rungs = 0,
    due_at = now(), due_queue = 'transfer', driven_at = null, drive_count = 0,
    updated_at = now()
  from waiting
 where r.account_id = waiting.account_id and r.recording_id = waiting.recording_id
returning true";

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationView {
    /// Identifies it; unique over all owners.
    pub revision: i64,
    /// The revision whose role or secret is used there: the one in force for the same bucket and
    /// prefix of the same owner, and else itself.
    pub credential_revision: i64,
    /// Whose it is: an account's id, or `default`.
    #[serde(serialize_with = "as_word")]
    pub owner: DestinationOwner,
    /// Which cloud, how to reach it and how to write there; its secrets are never shown.
    #[serde(flatten)]
    pub store: Store,
    /// From when; null is the beginning of time.
    pub in_force_from: Option<DateTime<Utc>>,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// Whether `{account_id}/` leads the keys.
    pub account_leads_key: bool,
    /// The external id that AssumeRole carries.
    pub external_id: String,
    /// How many recordings that waited for a destination were given this one when it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings_pinned: Option<u64>,
    /// What was found when it was checked last, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check: Option<CheckView>,
}

fn as_word<S: Serializer>(owner: &DestinationOwner, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(owner)
}

fn view(row: &Row, keyring: Option<&KeyRing>) -> Result<DestinationView, Failure> {
    let Destination {
        owner,
        revision,
        credential_revision,
        store,
        account_leads_key,
        external_id,
    } = destination(row, keyring)?;
    Ok(DestinationView {
        revision,
        credential_revision,
        owner,
        store,
        in_force_from: get(row, "in_force_from")?,
        set_at: get(row, "set_at")?,
        account_leads_key,
        external_id: external_id.unwrap_or_default(),
        recordings_pinned: None,
        last_check: None,
    })
}

pub(crate) fn account(owner: &DestinationOwner) -> Option<&str> {
    match owner {
        DestinationOwner::Account(account) => Some(account.as_str()),
        DestinationOwner::Default => None,
    }
}

impl Catalog {
    /// Sets a destination: a new revision, unless it is what the one in force says already. Every
    /// recording that waited because there was none is pinned to it and due; so is what waits at
    /// the same place under an earlier revision, which is reached with this one's credential from
    /// now on.
    ///
    /// An account's first destination is in force from the beginning of time unless one of its
    /// recordings is pinned (to the platform's) or `in_force_from` says otherwise; the platform's
    /// first always is; later ones are from now on, or from `in_force_from`.
    ///
    /// It becomes active only after a check, which is kept with it: of
    /// [`Catalog::plan_destination`].
    ///
    /// # Errors
    /// When there is no such account, the destination is ambiguous or would share keys with
    /// another owner's, the check found something that blocks and nobody insists, it has a secret
    /// and there is no key ring, or the database fails.
    pub async fn set_destination(
        &self,
        owner: &DestinationOwner,
        store: &Store,
        in_force_from: Option<DateTime<Utc>>,
        approval: &Approval,
    ) -> Result<DestinationView, AdminFault> {
        check(owner, store, self.now())?;
        approve(approval)?;
        let keyring = self.keyring();
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        lent.rows(LOCK, &[]).await?;
        let account = account(owner);
        let external_id = external_id(&mut lent, owner).await?;
        let account_leads_key = leads_key(&mut lent, owner, store).await?;
        let current = lent.rows(SHOW, &[&account]).await?;
        let current = current.first().map(|row| view(row, keyring)).transpose()?;
        let unchanged = current.filter(|current| {
            in_force_from.is_none()
                && current.owner == *owner
                && current.store == *store
                && current.account_leads_key == account_leads_key
        });
        let mut view = match unchanged {
            Some(current) => current,
            None => {
                let from = from_when(&mut lent, owner, in_force_from).await?;
                let revision = NewRevision {
                    owner,
                    store,
                    account_leads_key,
                    external_id: &external_id,
                    from,
                };
                let set = revision.insert(&mut lent, keyring).await?;
                Self::remember_expiry(&mut lent, set.revision, store).await?;
                set
            }
        };
        keep(&mut lent, view.revision, approval).await?;
        view.recordings_pinned = Some(pin_waiting(&mut lent, account, view.revision).await?);
        // After the recordings, as whoever parks one locks them.
        succeed(&mut lent, view.revision, account, store).await?;
        lent.commit().await?;
        Ok(view)
    }

    /// Every revision of an owner, oldest first.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn list_destinations(
        &self,
        owner: &DestinationOwner,
    ) -> Result<Vec<DestinationView>, AdminFault> {
        self.must_exist(owner).await?;
        let rows = self.pool.rows(LIST, &[&account(owner)]).await?;
        let views = rows.iter().map(|row| view(row, self.keyring()));
        Ok(views.collect::<Result<_, _>>()?)
    }

    /// The revision that a recording completed now would be pinned to: the owner's, or else the
    /// platform's.
    ///
    /// # Errors
    /// When there is none or no such account, or the database fails.
    pub async fn show_destination(
        &self,
        owner: &DestinationOwner,
    ) -> Result<DestinationView, AdminFault> {
        self.must_exist(owner).await?;
        let row = self.pool.row(SHOW, &[&account(owner)]).await?;
        let row = row.ok_or_else(|| {
            AdminFault::not_found(
                format!("a destination for {owner}"),
                format!(
                    "set one: `callferry destination set {owner} s3 …` or `… azure …`, or for \
                     `default`"
                ),
            )
        })?;
        let shown = view(&row, self.keyring())?;
        Ok(DestinationView {
            last_check: self.last_check(shown.revision).await?,
            ..shown
        })
    }

    async fn must_exist(&self, owner: &DestinationOwner) -> Result<(), AdminFault> {
        match owner {
            DestinationOwner::Account(account) => self.show_account(account).await.map(drop),
            DestinationOwner::Default => Ok(()),
        }
    }
}

/// Whether the account must lead the keys, because somebody else writes into the same bucket.
pub(crate) async fn leads_key(
    lent: &mut Lent,
    owner: &DestinationOwner,
    store: &Store,
) -> Result<bool, AdminFault> {
    let rows = lent
        .rows(NEIGHBOURS, &[&place(store), &account(owner)])
        .await?;
    let account_leads_key = *owner == DestinationOwner::Default || !rows.is_empty();
    let mine = Space {
        owner: owner.clone(),
        account_leads_key,
        prefix: store.prefix().to_owned(),
    };
    for row in &rows {
        let theirs = Space {
            owner: optional_word::<AccountId>(row, "destination_account")?
                .map_or(DestinationOwner::Default, DestinationOwner::Account),
            account_leads_key: get(row, "account_leads_key")?,
            prefix: get(row, "prefix")?,
        };
        if mine.overlaps(&theirs) {
            return Err(AdminFault::Overlap {
                owner: owner.clone(),
                other: theirs.owner,
                location: store.location(),
            });
        }
    }
    Ok(account_leads_key)
}

async fn from_when(
    lent: &mut Lent,
    owner: &DestinationOwner,
    wish: Option<DateTime<Utc>>,
) -> Result<Option<Timestamp<DateTime<Utc>>>, Failure> {
    let rows = lent.rows(BEFORE, &[&account(owner)]).await?;
    let row = rows.first().ok_or_else(|| corrupt("no answer"))?;
    let (is_later, has_pinned) = (get(row, "is_later")?, get(row, "has_pinned")?);
    let wish = wish.map(Timestamp::Value);
    Ok(match owner {
        _ if is_later => wish,
        DestinationOwner::Default => Some(Timestamp::NegInfinity),
        DestinationOwner::Account(_) if has_pinned => wish,
        DestinationOwner::Account(_) => wish.or(Some(Timestamp::NegInfinity)),
    })
}

struct NewRevision<'a> {
    owner: &'a DestinationOwner,
    store: &'a Store,
    account_leads_key: bool,
    external_id: &'a str,
    /// `None` is now.
    from: Option<Timestamp<DateTime<Utc>>>,
}

/// The columns of one cloud; the other's are null.
#[derive(Default)]
struct Columns<'a> {
    endpoint: Option<&'a str>,
    bucket: Option<&'a str>,
    region: Option<&'a str>,
    role_arn: Option<&'a str>,
    kms_key: Option<&'a str>,
    storage_class: Option<&'a str>,
    expected_owner: Option<&'a str>,
    sse: Option<&'static str>,
    bucket_key: bool,
    /// An object; `None` until it is known.
    tags: Option<serde_json::Value>,
    bucket_owner_full_control: bool,
    azure: Option<Parts<'a>>,
    sealed: Option<(Uuid, Sealed)>,
}

impl<'a> Columns<'a> {
    fn of(
        owner: &DestinationOwner,
        store: &'a Store,
        keyring: Option<&KeyRing>,
    ) -> Result<Self, AdminFault> {
        match store {
            Store::S3(s3) => Self::of_s3(s3),
            Store::Azure(azure) => Self::of_azure(owner, azure, keyring),
        }
    }

    fn of_s3(s3: &'a S3Bucket) -> Result<Self, AdminFault> {
        let tags = serde_json::to_value(&s3.options.tags);
        Ok(Self {
            endpoint: s3.endpoint.as_deref(),
            bucket: Some(&s3.bucket),
            region: Some(&s3.region),
            role_arn: s3.role_arn.as_deref(),
            kms_key: s3.kms_key.as_deref(),
            storage_class: s3.storage_class.as_deref(),
            expected_owner: s3.expected_owner.as_deref(),
            sse: s3.options.sse.map(Encryption::as_str),
            bucket_key: s3.options.bucket_key,
            tags: Some(tags.map_err(|error| corrupt(error.to_string()))?),
            bucket_owner_full_control: s3.options.bucket_owner_full_control,
            ..Self::default()
        })
    }

    fn of_azure(
        owner: &DestinationOwner,
        azure: &'a AzureContainer,
        keyring: Option<&KeyRing>,
    ) -> Result<Self, AdminFault> {
        let parts = Parts::of(azure);
        let plain = Self {
            endpoint: azure.endpoint.as_deref(),
            azure: Some(parts),
            ..Self::default()
        };
        let Some(secret) = azure.identity.secret() else {
            return Ok(plain);
        };
        let keyring = keyring.ok_or_else(|| {
            AdminFault::refused(
                "there is no key ring to keep the destination's secret under",
                "make one with `callferry keyring new FILE` and give every process \
                 CALLFERRY_KEYRING_FILE",
            )
        })?;
        let secret = secret.reveal();
        let secret = secret.map_err(|locked| corrupt(locked.to_string()))?;
        Ok(Self {
            sealed: Some(parts.seal(owner, secret, keyring)?),
            ..plain
        })
    }
}

impl NewRevision<'_> {
    async fn insert(
        &self,
        lent: &mut Lent,
        keyring: Option<&KeyRing>,
    ) -> Result<DestinationView, AdminFault> {
        let columns = Columns::of(self.owner, self.store, keyring)?;
        let (azure, sealed) = (columns.azure.as_ref(), columns.sealed.as_ref());
        let cloud = match self.store {
            Store::S3(_) => "s3",
            Store::Azure(_) => "azure",
        };
        let rows = lent
            .rows(
                INSERT,
                &[
                    &account(self.owner),
                    &place(self.store),
                    &self.account_leads_key,
                    &self.external_id,
                    &self.from,
                    &columns.endpoint,
                    &self.store.prefix(),
                    &cloud,
                    &columns.bucket,
                    &columns.region,
                    &columns.role_arn,
                    &columns.kms_key,
                    &columns.storage_class,
                    &columns.expected_owner,
                    &azure.map(|azure| azure.storage_account),
                    &azure.map(|azure| azure.container),
                    &azure.map(|azure| azure.identity),
                    &azure.and_then(|azure| azure.tenant_id),
                    &azure.and_then(|azure| azure.client_id),
                    &sealed.map(|(id, _)| id),
                    &sealed.map(|(_, sealed)| sealed.key_id.as_str()),
                    &sealed.map(|(_, sealed)| sealed.wrapped_key.as_slice()),
                    &sealed.map(|(_, sealed)| sealed.bytes.as_slice()),
                    &columns.sse,
                    &columns.bucket_key,
                    &columns.tags.unwrap_or_else(|| serde_json::json!({})),
                    &columns.bucket_owner_full_control,
                ],
            )
            .await?;
        let row = rows.first().ok_or_else(|| corrupt("nothing was set"))?;
        Ok(view(row, keyring)?)
    }
}

async fn pin_waiting(
    lent: &mut Lent,
    account: Option<&str>,
    revision: i64,
) -> Result<u64, Failure> {
    let mut pinned: u64 = 0;
    loop {
        let batch = lent.rows(PIN, &[&account, &revision, &BATCH]).await?.len();
        pinned = pinned.saturating_add(unsigned(i64::try_from(batch).unwrap_or(i64::MAX))?);
        if i64::try_from(batch).is_ok_and(|batch| batch < BATCH) {
            return Ok(pinned);
        }
    }
}
