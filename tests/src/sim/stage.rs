//! Sets the stage of a run: accounts, destinations, buckets, processes, and what is produced.

use std::time::Duration;

use recording::{
    AccountId, AzureContainer, AzureIdentity, Destination, DestinationOwner, RefusalReason,
    S3Bucket, S3Options, Secret, Store,
};

use super::bucket::Bucket;
use super::dice::Dice;
use super::process::{Process, Role};
use super::producer::{Oddity, Producer, completed, subject};
use super::truth::Flaw;
use super::world::World;

/// The platform's own bucket.
const PLATFORM: &str = "bucket-platform";
/// The account that exists later, or never.
const STRANGER: &str = "gamma";

/// What the weather still has to do about accounts and destinations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Later {
    /// The platform gets a destination.
    pub(crate) default: bool,
    /// The unknown account is created.
    pub(crate) stranger: bool,
}

/// A bucket, unless it is there: a new revision may be of another credential only.
fn add_bucket(world: &mut World, name: &str, owner: Option<&str>) {
    if world.buckets.contains_key(name) {
        return;
    }
    let bucket = Bucket {
        owner: owner.map(str::to_owned),
        reports_checksum: world.mix.reports_checksum && !world.mix.other_cloud,
        has_blocks: world.mix.other_cloud,
        ..Bucket::default()
    };
    world.buckets.insert(name.to_owned(), bucket);
}

fn store(other_cloud: bool, bucket: &str) -> Store {
    if other_cloud {
        return Store::Azure(AzureContainer {
            storage_account: "simulated".to_owned(),
            container: bucket.to_owned(),
            endpoint: None,
            prefix: String::new(),
            identity: AzureIdentity::AccessKey {
                access_key: Secret::new(String::new()),
            },
        });
    }
    Store::S3(S3Bucket {
        bucket: bucket.to_owned(),
        region: "eu-central-1".to_owned(),
        role_arn: None,
        endpoint: None,
        prefix: String::new(),
        kms_key: None,
        storage_class: None,
        expected_owner: None,
        options: S3Options::default(),
    })
}

/// A new revision: an account's own bucket, or the platform's.
pub(crate) fn set_destination(world: &mut World, owner: Option<&str>, bucket: &str) {
    add_bucket(world, bucket, owner);
    let account: Option<AccountId> = owner.and_then(|name| name.parse().ok());
    let revision = i64::try_from(world.ledger.destinations.len()).unwrap_or(i64::MAX);
    let destination = Destination {
        owner: account
            .clone()
            .map_or(DestinationOwner::Default, DestinationOwner::Account),
        revision,
        credential_revision: revision,
        store: store(world.mix.other_cloud, bucket),
        external_id: None,
        account_leads_key: account.is_none(),
    };
    let now = world.now();
    world
        .ledger
        .set_destination(account.as_ref(), destination, now);
    world.say(format_args!("{bucket} is set for {owner:?}"));
}

/// Creates an account.
pub(crate) fn create_account(world: &mut World, name: &str) {
    if let Ok(account) = name.parse::<AccountId>() {
        world.ledger.accounts.entry(account).or_default();
    }
}

/// Does what was left for later.
pub(crate) fn settle_later(world: &mut World, later: Later) {
    if later.default && world.ledger.default.is_empty() {
        set_destination(world, None, PLATFORM);
    }
    if later.stranger {
        create_account(world, STRANGER);
    }
}

/// The processes of a run.
pub(crate) fn processes(world: &mut World) {
    let names = [
        ("T1", Role::Transfer),
        ("T2", Role::Transfer),
        ("C1", Role::Cleanup),
        ("C2", Role::Cleanup),
        ("H1", Role::Housekeeping),
        ("H2", Role::Housekeeping),
    ];
    let count = names.len().saturating_sub(2) + world.mix.housekeepers;
    let operator = world.mix.reroutes.then_some(("O1", Role::Operator));
    let these = names.into_iter().take(count).chain(operator);
    world
        .processes
        .extend(these.map(|(name, role)| Process::new(name, role)));
}

/// Accounts and destinations.
pub(crate) fn accounts(world: &mut World) -> Later {
    create_account(world, "acme");
    create_account(world, "beta");
    set_destination(world, Some("acme"), "bucket-acme");
    if world.dice.coin() {
        set_destination(world, Some("beta"), "bucket-beta");
    }
    let default_now = world.dice.below(4) != 0;
    if default_now {
        set_destination(world, None, PLATFORM);
    }
    Later {
        default: !default_now,
        stranger: world.dice.coin(),
    }
}

/// One recording: for scripts.
pub(crate) fn one(world: &mut World, oddity: Oddity) -> Vec<Producer> {
    create_account(world, "acme");
    set_destination(world, Some("acme"), "bucket-acme");
    let mut dice = Dice::new(1);
    if let Some(mut new) = subject(&mut dice, "acme", 0) {
        new.flaws.extend(oddity.flaw());
        world.truth.subjects.push(new);
    }
    world.truth.producing = 1;
    vec![Producer {
        index: 0,
        oddity,
        start: Duration::ZERO,
        copies: 1,
        digest: true,
    }]
}

/// What is produced.
pub(crate) fn producers(world: &mut World, later: Later) -> Vec<Producer> {
    let count = world.dice.between(2, 7);
    let mut producers: Vec<Producer> = Vec::new();
    for index in 0..usize::try_from(count).unwrap_or(2) {
        let odd = world.dice.chance(world.mix.flaws);
        let stranger = odd && world.dice.below(6) == 0;
        let account = if stranger {
            STRANGER
        } else {
            world.dice.pick(&["acme", "acme", "beta"], "acme")
        };
        let mut oddity = if world.mix.one_path && !stranger {
            Oddity::Reuses
        } else if odd && !stranger {
            Oddity::drawn(&mut world.dice)
        } else {
            Oddity::Plain
        };
        let Some(mut new) = subject(&mut world.dice, account, index) else {
            continue;
        };
        if stranger && !later.stranger {
            new.flaws.insert(Flaw::UnknownAccount);
        }
        oddity = share_path(world, &producers, oddity, &mut new);
        new.flaws.extend(oddity.flaw());
        let chaos = world.mix.chaos;
        producers.push(Producer {
            index: world.truth.subjects.len(),
            oddity,
            start: world.dice.up_to(chaos / 2),
            copies: world.dice.pick(&[1, 1, 2, 4], 1),
            digest: world.dice.coin(),
        });
        world.truth.subjects.push(new);
    }
    world.truth.producing = producers.len();
    producers
}

/// Recordings at one path: of the same account, and told apart by their bytes.
fn share_path(
    world: &mut World,
    producers: &[Producer],
    oddity: Oddity,
    new: &mut super::truth::Subject,
) -> Oddity {
    if !matches!(oddity, Oddity::Reuses | Oddity::Shares) {
        return oddity;
    }
    let fits = |one: &&Producer| {
        let subject = world.truth.subjects.get(one.index);
        let same = subject.is_some_and(|first| first.key.account_id == new.key.account_id);
        same && matches!(one.oddity, Oddity::Plain | Oddity::Reuses)
    };
    let Some(before) = producers.iter().rfind(fits) else {
        return Oddity::Plain;
    };
    let taken = producers.iter().any(|one| one.oddity == Oddity::Reuses);
    if oddity == Oddity::Shares && taken {
        return Oddity::Late;
    }
    let Some(first) = world.truth.subjects.get_mut(before.index) else {
        return Oddity::Late;
    };
    // Whoever shares a path spoils it for those who take turns.
    let turns = before.oddity == Oddity::Reuses || oddity == Oddity::Reuses;
    if first.content.is_empty() || (turns && first.flaws.contains(&Flaw::SharedPath)) {
        return Oddity::Plain;
    }
    if new.content.is_empty() {
        new.content.push(b'x');
    }
    new.path.clone_from(&first.path);
    if oddity == Oddity::Shares {
        first.flaws.insert(Flaw::SharedPath);
    }
    oddity
}

/// Messages that nobody should believe, with what they are refused for.
pub(crate) fn bad_events(world: &mut World) {
    let mut dice = Dice::new(2);
    let stranger = subject(&mut dice, "acme", 99);
    let elsewhere = "beta/2026/11/22/rec-0.wav";
    let path = stranger.map(|one| completed(&one, elsewhere, 3, None));
    let path = path.unwrap_or_default();
    let path = String::from_utf8_lossy(&path);
    let rows = [
        ("{", RefusalReason::NotJson),
        ("[]", RefusalReason::WrongField),
        (r#"{"specversion":"1.0"}"#, RefusalReason::MissingField),
        (r#"{"a":1,"a":2}"#, RefusalReason::DuplicateKey),
        (&path, RefusalReason::UnsafePath),
    ];
    for (text, reason) in rows {
        if world.dice.below(3) == 0 {
            let body = text.as_bytes().to_vec();
            world.truth.bad.push((body, reason));
        }
    }
}
