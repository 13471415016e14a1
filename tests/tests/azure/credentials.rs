//! Credentials that end, are taken away, or are wrong: each is told by its own reason, and once it
//! is repaired the same recording goes through. Tokens that are refused in the middle of an upload.
//!
//! Azurite takes tokens over https only. Here the tap takes them and shows a signature instead, so
//! that it can refuse them to order in Azure's own words.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use recording::{AzureIdentity, Clock, NoMeter, ParkReason, Secret};
use storage::{ManagedIdentity, StoreSettings, Stores};

use callferry_tests::entra::Entra;

use super::identities::{CLIENT, TENANT};
use super::setting::{
    CONTAINER, PART, STORAGE_ACCOUNT, Setting, access_key, principal, sent, settings,
};
use super::staged::{Clocks, Movable, Wish, noise, refused};
use super::tap::{Act, What};

/// As long as a refusal is remembered.
const PAUSE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);
const WORKLOAD: &str = "workload.token.1";

/// A customer, Entra, and stores that live by a clock that can be moved on.
struct World {
    it: Setting,
    entra: Entra,
    clock: Arc<Movable>,
    token_file: PathBuf,
}

async fn world(name: &str) -> Option<World> {
    let mut it = Setting::start(name).await?;
    let entra = Entra::start().await.unwrap();
    entra.register(TENANT, CLIENT, "s3cret");
    let clock = Arc::new(Movable::default());
    let token_file = it.staging.at("workload-token");
    std::fs::write(&token_file, format!("{WORKLOAD}\n")).unwrap();
    let settings = StoreSettings {
        entra_authority: Some(entra.authority()),
        federated_token_file: Some(token_file.clone()),
        managed_identity: ManagedIdentity {
            endpoint: entra.identity_endpoint(),
            header: None,
        },
        ..settings()
    };
    let shared: Arc<dyn Clock> = Arc::<Movable>::clone(&clock);
    it.stores = Stores::new(settings, shared, Arc::new(NoMeter)).unwrap();
    let end = Clocks.now() + TimeDelta::hours(1);
    let sas = it.azurite.sas(STORAGE_ACCOUNT, CONTAINER, "rcw", end);
    it.tap.take_tokens_for(&sas);
    Some(World {
        it,
        entra,
        clock,
        token_file,
    })
}

fn federated() -> AzureIdentity {
    AzureIdentity::Federated {
        tenant_id: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
    }
}

fn managed(client_id: Option<&str>) -> AzureIdentity {
    AzureIdentity::ManagedIdentity {
        client_id: client_id.map(str::to_owned),
    }
}

fn refusing(world: &World, code: &'static str) {
    for what in [What::Put, What::Block] {
        world
            .it
            .tap
            .arm(what, Act::Answer(403, code), (0, usize::MAX));
    }
}

/// One way in which a credential is no good, and back.
struct Row {
    what: &'static str,
    identity: fn(&World) -> AzureIdentity,
    breaks: fn(&World),
    /// The identity that it is set anew with, or `None` where the customer repairs it elsewhere.
    repairs: fn(&World) -> Option<AzureIdentity>,
    reason: ParkReason,
    says: &'static str,
}

fn good_key(world: &World) -> AzureIdentity {
    access_key(world.it.azurite.key(STORAGE_ACCOUNT))
}

const ROWS: [Row; 13] = [
    Row {
        what: "the access key is no key",
        identity: |_| access_key("not base64!"),
        breaks: |_| {},
        repairs: |world| Some(good_key(world)),
        reason: ParkReason::CredentialRefused,
        says: "base64",
    },
    Row {
        what: "the access key is wrong, or was rotated",
        identity: good_key,
        breaks: |world| refusing(world, "AuthenticationFailed"),
        repairs: |world| {
            world.it.tap.disarm();
            Some(good_key(world))
        },
        reason: ParkReason::CredentialRefused,
        says: "403 AuthenticationFailed",
    },
    Row {
        what: "keys are not let in any more",
        identity: good_key,
        breaks: |world| refusing(world, "KeyBasedAuthenticationNotPermitted"),
        repairs: |world| {
            world.it.tap.disarm();
            Some(world.it.sas("rcw", 60))
        },
        reason: ParkReason::CredentialRefused,
        says: "KeyBasedAuthenticationNotPermitted",
    },
    Row {
        what: "the SAS has ended",
        identity: |world| world.it.sas("rcw", -5),
        breaks: |_| {},
        repairs: |world| Some(world.it.sas("rcw", 60)),
        reason: ParkReason::CredentialRefused,
        says: "the SAS expired at",
    },
    Row {
        what: "the SAS was revoked, with the key or the policy that it was made by",
        identity: |world| world.it.sas("rcw", 60),
        breaks: |world| refusing(world, "AuthenticationFailed"),
        repairs: |world| {
            world.it.tap.disarm();
            Some(world.it.sas("rcw", 61))
        },
        reason: ParkReason::CredentialRefused,
        says: "403 AuthenticationFailed",
    },
    Row {
        what: "the SAS may not create",
        identity: |world| world.it.sas("r", 60),
        breaks: |_| {},
        repairs: |world| Some(world.it.sas("rcw", 60)),
        reason: ParkReason::AccessDenied,
        says: "AuthorizationPermissionMismatch",
    },
    Row {
        what: "the client secret is wrong",
        identity: |_| principal(TENANT, CLIENT, "wrong"),
        breaks: |_| {},
        repairs: |_| Some(principal(TENANT, CLIENT, "s3cret")),
        reason: ParkReason::CredentialRefused,
        says: "token: 401 invalid_client AADSTS7000215",
    },
    Row {
        what: "the client secret has run out",
        identity: |_| principal(TENANT, CLIENT, "s3cret"),
        breaks: |world| world.entra.expire(TENANT, CLIENT, "s3cret"),
        repairs: |world| {
            world.entra.register(TENANT, CLIENT, "fresh");
            Some(principal(TENANT, CLIENT, "fresh"))
        },
        reason: ParkReason::CredentialRefused,
        says: "token: 401 invalid_client AADSTS7000222",
    },
    Row {
        what: "the application was deleted",
        identity: |_| principal(TENANT, CLIENT, "s3cret"),
        breaks: |world| world.entra.forget(TENANT, CLIENT),
        repairs: |world| {
            world.entra.register(TENANT, CLIENT, "s3cret");
            None
        },
        reason: ParkReason::CredentialRefused,
        says: "AADSTS700016",
    },
    Row {
        what: "the application may not write to the container any more",
        identity: |_| principal(TENANT, CLIENT, "s3cret"),
        breaks: |world| refusing(world, "AuthorizationPermissionMismatch"),
        repairs: |world| {
            world.it.tap.disarm();
            None
        },
        reason: ParkReason::AccessDenied,
        says: "403 AuthorizationPermissionMismatch",
    },
    Row {
        what: "the application does not trust our workload",
        identity: |_| federated(),
        breaks: |world| world.entra.trust(TENANT, CLIENT, "another.workload"),
        repairs: |world| {
            world.entra.trust(TENANT, CLIENT, WORKLOAD);
            None
        },
        reason: ParkReason::CredentialRefused,
        says: "token by federation: 401 invalid_client AADSTS70021",
    },
    Row {
        what: "our workload's token is not there: ours to repair, so it passes",
        identity: |_| federated(),
        breaks: |world| {
            world.entra.trust(TENANT, CLIENT, WORKLOAD);
            std::fs::remove_file(&world.token_file).unwrap();
        },
        repairs: |world| {
            std::fs::write(&world.token_file, WORKLOAD).unwrap();
            None
        },
        reason: ParkReason::DestinationUnreachable,
        says: "token by federation: ",
    },
    Row {
        what: "the machine has no such identity",
        identity: |_| managed(Some(CLIENT)),
        breaks: |world| world.entra.assign(&["another"]),
        repairs: |world| {
            world.entra.assign(&["another", CLIENT]);
            None
        },
        reason: ParkReason::CredentialRefused,
        says: "token of the managed identity: 400 invalid_request",
    },
];

#[tokio::test]
async fn each_broken_credential_has_its_reason_and_its_repair_lets_the_recording_through() {
    let Some(mut world) = world("azure-broken").await else {
        return;
    };
    for (number, row) in ROWS.iter().enumerate() {
        let recording = format!("rec-{number}");
        // What another row left in use has ended: a token outlives the secret that it was got by.
        world.clock.move_on(2 * HOUR);
        let identity = (row.identity)(&world);
        world.it.become_known_by(identity);
        (row.breaks)(&world);
        for size in [9, PART + 9] {
            let fault = refused(world.it.send(&recording, &noise(size, 1)).await);
            assert_eq!(fault.reason, row.reason, "{}: {fault}", row.what);
            assert!(fault.detail.contains(row.says), "{}: {fault}", row.what);
            for canary in ["s3cret", "sig=", WORKLOAD, "prose-canary"] {
                assert!(!fault.detail.contains(canary), "{fault}");
            }
        }
        assert_eq!(world.it.stored(&recording).await, None, "{}", row.what);
        if let Some(identity) = (row.repairs)(&world) {
            world.it.become_known_by(identity);
        }
        world.clock.move_on(PAUSE);
        let (digests, checked) = sent(world.it.send(&recording, b"now").await);
        let proof = world.it.prove(&recording, digests, checked).await;
        assert!(proof.is_ok(), "{}: {proof:?}", row.what);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_of_an_upload_costs_a_renewal_and_no_block() {
    let Some(mut world) = world("azure-mid-upload").await else {
        return;
    };
    world
        .it
        .become_known_by(principal(TENANT, CLIENT, "s3cret"));
    let bytes = noise(6 * PART, 8);
    let (mut asked, mut refusals) = (1, 0);
    for (number, (what, after)) in [(What::Block, 0), (What::Block, 3), (What::Commit, 0)]
        .into_iter()
        .enumerate()
    {
        let recording = format!("rec-{number}");
        world.it.tap.forget();
        world.it.tap.revoke_token(what, after);
        let wish = Wish::default();
        let outcome = world.it.send_as(&recording, &bytes, &wish).await;
        let (digests, checked) = sent(outcome);
        let proof = world.it.prove(&recording, digests, checked).await;
        assert!(proof.is_ok(), "{proof:?}");
        assert_eq!(world.it.stored(&recording).await.unwrap(), bytes);
        assert_eq!(wish.uploads.ids.lock().unwrap().len(), 1, "one upload");
        // However many were refused, each was sent once more, and one token was asked for.
        let refused = world.it.tap.refused() - refusals;
        refusals += refused;
        assert!((1..=4).contains(&refused), "{refused}");
        let blocks = if what == What::Block { 6 + refused } else { 6 };
        assert_eq!(world.it.tap.count(What::Block), blocks);
        asked += 1;
        assert_eq!(world.entra.asked(), asked);
    }
}

#[tokio::test]
async fn our_workloads_token_is_read_anew_at_every_renewal() {
    let Some(mut world) = world("azure-rotated").await else {
        return;
    };
    world.entra.trust(TENANT, CLIENT, WORKLOAD);
    world.it.become_known_by(federated());
    sent(world.it.send("rec-1", b"x").await);
    // The file is replaced, and the old token is not taken any more.
    std::fs::write(&world.token_file, "workload.token.2").unwrap();
    world.entra.trust(TENANT, CLIENT, "workload.token.2");
    sent(world.it.send("rec-2", b"x").await);
    assert_eq!(world.entra.issued(), 1, "what there is serves");
    world.clock.move_on(HOUR);
    sent(world.it.send("rec-3", b"x").await);
    assert_eq!(world.entra.issued(), 2);
    // Nothing of it is in what people see.
    let shown = format!("{:?} {:?}", world.it.destination, world.it.stores);
    assert!(!shown.contains("workload.token"), "{shown}");
    let secretless = world.it.destination.store.clone();
    let shown = serde_json::to_value(&secretless).unwrap();
    assert_eq!(shown["identity"]["identity"], "federated");
    assert_eq!(Secret::default(), Secret::locked("none"));
}
