//! Every call that a role makes of the ledger, as the role's own user of the database. A statement
//! that needs more than its user may is refused before it looks at any row, so the rows need not
//! be there: what is tested is that nobody is refused.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use callferry_tests::environment;
use catalog::{Catalog, Settings};
use chrono::{DateTime, Utc};
use recording::{
    Advance, Capability, CheckReport, Clock, Crc64Nvme, ErasureLedger, Fault, Fence, Finding,
    Identity, Kept, Lease, Ledger, OriginalRemains, ParkReason, Parking, Part, QuarantineEntry,
    Queue, RecordingKey, RefusalReason, Remains, Retained, RetentionLedger, Upload, Verdict,
};
use uuid::Uuid;

use super::production::{DATABASE, Production};

/// Calls that the main job makes with real rows (`main_job.rs`), each by the role it belongs to.
const BY_THE_MAIN_JOB: [&str; 3] = ["claim", "store", "note"];

/// A clock that starts with the test; its wall clock stands.
#[derive(Debug)]
struct Watch(Instant);

impl Clock for Watch {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The ledger as one user sees it, and what was refused to it.
struct AsUser {
    user: &'static str,
    ledger: Arc<Catalog>,
    clock: Arc<Watch>,
    called: BTreeSet<&'static str>,
    refused: Vec<String>,
}

impl AsUser {
    fn new(production: &Production, user: &'static str) -> Result<Self> {
        let clock = Arc::new(Watch(Instant::now()));
        let settings = Settings::new(&production.database_url(user)?);
        Ok(Self {
            user,
            ledger: Arc::new(Catalog::connect(settings, Arc::<Watch>::clone(&clock))?),
            clock,
            called: BTreeSet::new(),
            refused: Vec::new(),
        })
    }

    /// A lease that nobody holds.
    fn lease(&self) -> Lease {
        let clock = Arc::<Watch>::clone(&self.clock);
        Lease {
            token: Uuid::new_v4(),
            fence: Fence::new(clock, self.clock.boot(), Duration::from_secs(30)),
        }
    }

    /// Notes what a call came to.
    async fn call<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        self.called.insert(name);
        match call.await {
            Ok(found) => Some(found),
            Err(fault) => {
                self.refused.push(format!("{} {name}: {fault}", self.user));
                None
            }
        }
    }
}

/// Calls each one, with what it takes.
macro_rules! calls {
    ($user:ident: $($name:ident($($with:expr),*)),+ $(,)?) => {
        let ledger = Arc::clone(&$user.ledger);
        $($user.call(stringify!($name), ledger.$name($($with),*)).await;)+
    };
}

fn nobody() -> Result<RecordingKey> {
    Ok(RecordingKey {
        account_id: "acme".parse().ok().context("an id")?,
        recording_id: "nothing".parse().ok().context("an id")?,
    })
}

fn upload() -> Upload {
    let identity = Identity {
        size_bytes: 1,
        mtime_ns: 1,
        inode: 1,
        entity: None,
    };
    Upload {
        id: "upload".to_owned(),
        part_bytes: 1,
        identity,
        parts: Vec::new(),
    }
}

fn parking(reason: ParkReason) -> Parking {
    Parking {
        reason,
        detail: "a test".to_owned(),
        after: Some(Duration::from_secs(1)),
    }
}

async fn as_transfer(production: &Production) -> Result<AsUser> {
    let mut user = AsUser::new(production, "transfer")?;
    let (key, lease) = (nobody()?, user.lease());
    let parts = [Part {
        number: 1,
        etag: "etag".to_owned(),
        crc64nvme: Crc64Nvme::new(1),
    }];
    let parking = parking(ParkReason::AccessDenied);
    let shut = Fault::new(ParkReason::AccessDenied, "a test");
    calls!(user:
        claim_due(&key), renew(&key, &lease), upload_begun(&key, &lease, &upload()),
        upload_landed(&key, &lease, &parts), lend(&key, &lease), child_died(&key, "a test"),
        park(&key, &lease, &parking), hold(&key, &lease, &shut), give_back(&key, &lease), probe(),
    );
    Ok(user)
}

async fn as_cleanup(production: &Production) -> Result<AsUser> {
    let mut user = AsUser::new(production, "cleanup")?;
    let (key, lease) = (nobody()?, user.lease());
    let refusal = parking(ParkReason::AccessDenied);
    calls!(user:
        claim_release(&key, None), renew(&key, &lease), give_back(&key, &lease),
        release(&key, &lease, "a test"), refuse_release(&key, &lease, &refusal),
        copy_lost(&key, &lease, "a test"), probe(),
    );
    erasures(production, &mut user).await?;
    Ok(user)
}

/// Triggers need what their statement's user may, so a real row that is to be erased: its original
/// stays once, and then is gone.
async fn erasures(production: &Production, user: &mut AsUser) -> Result<()> {
    let ledger = Arc::clone(&user.ledger);
    let postgres = &production.platform.postgres;
    let waiting = "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
         media_type, started_at, completed_at, path, size_bytes, attributes, created_by, \
         destination_revision, due_at, due_queue) \
         select 'acme', 'rec-erased', 'staged', 'call-1', 'call', 'audio/wav', now(), now(), \
         'acme/rec-erased.wav', 1, '{}', gen_random_uuid(), revision, now(), 'transfer' \
         from destinations where account_id = 'acme'; \
         insert into erasures (account_id, recording_id, why, asked_by) \
         values ('acme', 'rec-erased', 'a test', 'a test')";
    postgres.sql(DATABASE, waiting).await?;
    let kept = Kept {
        why: Retained::Unclear,
        detail: "a test".to_owned(),
        lock_until: None,
        after: Duration::ZERO,
    };
    for stays in [true, false] {
        let turn = user.call("begin", ledger.begin_original_erasures(9)).await;
        let turn = turn.context("no turn")?;
        assert_eq!(turn.begun.len(), 1, "{turn:?}");
        for erasing in &turn.begun {
            let renewed = user.call("renew", ledger.renew_erasure(erasing)).await;
            assert_eq!(renewed, Some(Ok(())));
            let gone = OriginalRemains::default().gone().context("gone")?;
            let done = match stays {
                true => {
                    user.call("keep", ledger.keep_original(erasing, &kept))
                        .await
                }
                false => {
                    user.call("erased", ledger.original_erased(erasing, gone, 1))
                        .await
                }
            };
            assert_eq!(done, Some(Advance::Done(())));
        }
    }
    Ok(())
}

/// And what may lie in the bucket of it.
async fn expiries(production: &Production, user: &mut AsUser) -> Result<()> {
    let ledger = Arc::clone(&user.ledger);
    let postgres = &production.platform.postgres;
    let now = "update retention_pace set next_at = now()";
    postgres.sql(DATABASE, now).await?;
    let turn = user
        .call("begin_expiries", ledger.begin_expiries(9, 9))
        .await;
    let turn = turn.context("no turn")?;
    assert_eq!(turn.begun.len(), 1, "{turn:?}");
    for expiring in &turn.begun {
        let gone = Remains::default().gone().context("gone")?;
        let done = user.call("expire", ledger.expire(expiring, gone, 0)).await;
        assert!(matches!(done, Some(Advance::Done(_))), "{done:?}");
    }
    Ok(())
}

/// A destination that is unhealthy, with what is to be done about it; then one that heals.
async fn destinations_health(production: &Production, user: &mut AsUser) -> Result<()> {
    let ledger = Arc::clone(&user.ledger);
    let due = "update destination_health set next_check_at = now()";
    production.platform.postgres.sql(DATABASE, due).await?;
    for verdict in [Verdict::Failed, Verdict::Passed] {
        let report = CheckReport {
            at: DateTime::UNIX_EPOCH,
            findings: vec![Finding {
                capability: Capability::Put,
                verdict,
                detail: "a test".to_owned(),
                reason: Some(ParkReason::BucketMissing),
                missing: Vec::new(),
                remedy: None,
            }],
        };
        let checks = user.call("checks", ledger.checks(9)).await;
        for check in checks.iter().flatten() {
            user.call("checked", ledger.checked(check, &report)).await;
        }
        let due = "update destination_health set next_check_at = now(), \
             announce_after = now() - interval '1 s', probe_at = case when holds then now() end";
        production.platform.postgres.sql(DATABASE, due).await?;
        user.call("tend_breakers", ledger.tend_breakers(1)).await;
        let news = user.call("health_announcements", ledger.health_announcements(9));
        for news in news.await.iter().flatten() {
            let told = ledger.health_announced(news.revision, news.id);
            user.call("health_announced", told).await;
        }
    }
    Ok(())
}

async fn as_housekeeping(production: &Production) -> Result<AsUser> {
    let mut user = AsUser::new(production, "housekeeping")?;
    expiries(production, &mut user).await?;
    let key = nobody()?;
    let entry = QuarantineEntry {
        reason: RefusalReason::NotJson,
        detail: "a test".to_owned(),
        queue: Queue::Transfer,
        body: "{".into(),
        content_type: None,
        names: None,
    };
    calls!(user:
        due(Queue::Transfer, 1), due(Queue::Cleanup, 1),
        undrive(Queue::Transfer, std::slice::from_ref(&key)), announcements(1),
        known_upload(&key), purge_quarantine(), purge_accesses(), finish_erasures(),
        reading(),
        quarantine(&entry), quarantine(&entry),
        requeues(1), requeued(1), tend_breakers(1), probe(),
        ledger_time(), retention_reading(), stop_retention("a test"),
    );
    destinations_health(production, &mut user).await?;
    // A real one, for what is asked of it needs its destination.
    let due = "insert into upload_sweeps (revision, account_id, begun_at, due_at) \
         select revision, account_id, now(), now() from destinations where account_id = 'acme'";
    production.platform.postgres.sql(DATABASE, due).await?;
    let ledger = Arc::clone(&user.ledger);
    let sweeps = user.call("sweeps", ledger.sweeps(1)).await;
    for sweep in sweeps.iter().flatten() {
        user.call("swept", ledger.swept(sweep, true)).await;
        user.call("swept", ledger.swept(sweep, false)).await;
    }
    Ok(user)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_make_every_call_of_the_ledger_that_it_makes() -> Result<()> {
    let production = Production::new("ledger-calls").await?;
    let mut called: BTreeSet<&str> = BY_THE_MAIN_JOB.into();
    let mut refused = Vec::new();
    for user in [
        as_transfer(&production).await?,
        as_cleanup(&production).await?,
        as_housekeeping(&production).await?,
    ] {
        called.extend(user.called);
        refused.extend(user.refused);
        user.ledger.close().await;
    }
    assert_eq!(refused, Vec::<String>::new());

    // A call that nobody has tried here is one that nobody has granted anything for.
    let port = environment::repository().join("crates/recording/src/ports/ledger.rs");
    let port = std::fs::read_to_string(port)?;
    let (_, port) = port
        .split_once("pub trait Ledger")
        .context("the port has no trait")?;
    let names = port.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")?.split('(').next()
    });
    let missing: Vec<&str> = names.filter(|name| !called.contains(name)).collect();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "have them called here as the role that calls them, and granted by grants.sql"
    );
    Ok(())
}
