//! Who we are: an account key, the customer's signature, an application with Entra's tokens; and
//! what is said when it is not believed.

use std::path::Path;

use recording::{AzureIdentity, Look, Method, ParkReason, Secret};
use storage::{ManagedIdentity, StoreSettings};

use callferry_tests::entra::{Entra, Mood};
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Azurite;
use callferry_tests::servers::azurite::Wire;

use super::setting::{
    CONTAINER, PART, STORAGE_ACCOUNT, Setting, access_key, destination, principal, sent, settings,
    stores,
};
use super::staged::{Staging, Wish, noise, refused};
use super::tap::{Tap, What};

pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const CLIENT: &str = "66666666-7777-8888-9999-000000000000";

/// The file of our workload's own token, beside the server.
const WORKLOAD: &str = "workload-token";

/// Azurite over https, which takes tokens, and Entra's laboratory. There is no tap.
pub(crate) async fn over_https(scratch: Scratch) -> Option<(Setting, Entra)> {
    let azurite = Azurite::start(scratch.path(), Wire::Https, &[STORAGE_ACCOUNT]).await;
    let azurite = azurite.unwrap()?;
    let created = azurite.create_container(STORAGE_ACCOUNT, CONTAINER).await;
    created.unwrap();
    let entra = Entra::start().await.unwrap();
    entra.register(TENANT, CLIENT, "s3cret");
    let settings = StoreSettings {
        managed_identity: ManagedIdentity {
            endpoint: entra.identity_endpoint(),
            header: None,
        },
        federated_token_file: Some(scratch.path().join(WORKLOAD)),
        ..with_entra(&entra, azurite.ca_file().as_deref())
    };
    let endpoint = azurite.endpoint(STORAGE_ACCOUNT);
    let setting = Setting {
        staging: Staging::new(),
        stores: stores(settings),
        destination: destination(&endpoint, principal(TENANT, CLIENT, "s3cret")),
        tap: Tap::start(azurite.address()).await,
        azurite,
        _scratch: scratch,
    };
    Some((setting, entra))
}

pub(crate) fn with_entra(entra: &Entra, ca_file: Option<&Path>) -> StoreSettings {
    StoreSettings {
        entra_authority: Some(entra.authority()),
        extra_ca_file: ca_file.map(Path::to_owned),
        ..settings()
    }
}

/// Small and large, sent, proven and taken from each other.
async fn conforms(it: &Setting) {
    for (size, method) in [(1000, Method::SentChecksum), (2 * PART, Method::BlockList)] {
        let (recording, bytes) = (format!("rec-{size}"), noise(size, 2));
        assert_eq!(it.look(&recording).await, Ok(Look::Absent));
        let (digests, checked) = sent(it.send(&recording, &bytes).await);
        let proof = it.prove(&recording, digests, checked).await.unwrap();
        assert_eq!(proof.method(), method);
        it.prove_by_reading(&recording, digests).await.unwrap();
        assert_eq!(it.stored(&recording).await.unwrap(), bytes);
        super::staged::unclear(it.send(&recording, &bytes).await);
    }
}

#[tokio::test]
async fn an_account_key_signs_nothing_but_short_signatures_for_one_blob() {
    let Some(it) = Setting::start("azure-key").await else {
        return;
    };
    conforms(&it).await;
    for (what, url, headers) in it.tap.seen() {
        assert!(!headers.contains_key("authorization"));
        assert!(url.contains("sr=b") && !url.contains("st="), "{what:?}");
        let permissions = match what {
            What::Put => "sp=c",
            What::Block | What::Commit => "sp=cw&",
            What::Head | What::List | What::Get => "sp=r&",
        };
        assert!(url.contains(permissions), "{what:?} {url}");
    }
}

#[tokio::test]
async fn a_signature_of_the_customer_does() {
    let Some(mut it) = Setting::start("azure-sas").await else {
        return;
    };
    let sas = it.sas("rcw", 60);
    it.become_known_by(sas);
    conforms(&it).await;
}

#[tokio::test]
async fn an_applications_token_does_and_is_asked_for_once() {
    let scratch = Scratch::new("azure-token").unwrap();
    let Some((it, entra)) = over_https(scratch).await else {
        return;
    };
    conforms(&it).await;
    assert_eq!(entra.asked(), 1, "one for writing and looking together");
    // Also an account key does, over https only.
    let mut it = it;
    let key = access_key(it.azurite.key(STORAGE_ACCOUNT));
    it.become_known_by(key);
    let (digests, checked) = sent(it.send("by-key", b"x").await);
    it.prove("by-key", digests, checked).await.unwrap();
}

#[tokio::test]
async fn an_application_that_trusts_our_workload_needs_no_secret() {
    let scratch = Scratch::new("azure-federated").unwrap();
    std::fs::write(scratch.path().join(WORKLOAD), "workload.token\n").unwrap();
    let Some((mut it, entra)) = over_https(scratch).await else {
        return;
    };
    entra.trust(TENANT, "trusting", "workload.token");
    it.become_known_by(AzureIdentity::Federated {
        tenant_id: TENANT.to_owned(),
        client_id: "trusting".to_owned(),
    });
    conforms(&it).await;
    assert_eq!(entra.asked(), 1, "one for writing and looking together");
}

#[tokio::test]
async fn the_machines_own_identity_needs_no_secret() {
    let scratch = Scratch::new("azure-managed").unwrap();
    let Some((mut it, entra)) = over_https(scratch).await else {
        return;
    };
    entra.assign(&["first", CLIENT]);
    for client_id in [None, Some(CLIENT.to_owned())] {
        it.become_known_by(AzureIdentity::ManagedIdentity { client_id });
        sent(it.send("small", b"x").await);
        it.azurite
            .delete(STORAGE_ACCOUNT, CONTAINER, it.key("small").as_str())
            .await
            .unwrap();
    }
    conforms(&it).await;
    assert_eq!(entra.asked(), 2, "one for each identity");
    // The service of App Service and its like is asked in its own way.
    entra.want_header("shown-to-its-own-only");
    let settings = |header: &str| StoreSettings {
        managed_identity: ManagedIdentity {
            endpoint: entra.identity_endpoint(),
            header: Some(header.to_owned().into()),
        },
        ..with_entra(&entra, it.azurite.ca_file().as_deref())
    };
    let (wrong, right) = (settings("another"), settings("shown-to-its-own-only"));
    it.stores = stores(wrong);
    let fault = refused(it.send("by-header", b"x").await);
    assert_eq!(fault.reason, ParkReason::CredentialRefused, "{fault}");
    it.stores = stores(right);
    sent(it.send("by-header", b"x").await);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let scratch = Scratch::new("azure-stale").unwrap();
    let Some((it, entra)) = over_https(scratch).await else {
        return;
    };
    entra.behave(Mood::Stale);
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::CredentialRefused, "{fault}");
    assert_eq!(entra.asked(), 2);
    entra.behave(Mood::Well);
    sent(it.send("rec", b"x").await);
    assert_eq!(entra.asked(), 3);
}

#[tokio::test]
async fn entras_refusals_tell_the_application_from_the_moment() {
    let scratch = Scratch::new("azure-entra").unwrap();
    let Some((mut it, entra)) = over_https(scratch).await else {
        return;
    };
    entra.behave(Mood::Broken);
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
    entra.behave(Mood::Throttling);
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::Throttled, "{fault}");
    entra.behave(Mood::Well);
    it.become_known_by(principal(TENANT, CLIENT, "wrong"));
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::CredentialRefused);
    assert_eq!(fault.detail, "token: 401 invalid_client AADSTS7000215");
    // The refusal is remembered for a while: a broken application does not storm Entra.
    let asked = entra.asked();
    refused(it.send("rec", b"x").await);
    assert_eq!(entra.asked(), asked);
    it.become_known_by(principal(TENANT, "nobody", "s3cret"));
    let fault = refused(it.send("rec", b"x").await);
    assert!(fault.detail.contains("AADSTS700016"), "{fault}");
    it.become_known_by(principal("../../evil", CLIENT, "s3cret"));
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::CredentialRefused);
    assert_eq!(it.stored("rec").await, None);
}

#[tokio::test]
async fn what_is_wrong_with_a_key_or_a_signature_is_named() {
    let Some(mut it) = Setting::start("azure-wrong").await else {
        return;
    };
    let wrong = access_key("d3JvbmcgYnV0IGJhc2U2NA==");
    let malformed = access_key("not base64!");
    let locked = AzureIdentity::AccessKey {
        access_key: Secret::locked("k-2026"),
    };
    let no_sas = AzureIdentity::Sas {
        sas_token: Secret::new("nothing".to_owned()),
    };
    let table = [
        // Azure itself says `AuthenticationFailed` here, which is a refused credential.
        (wrong, ParkReason::AccessDenied, "AuthorizationFailure"),
        (malformed, ParkReason::CredentialRefused, "base64"),
        (locked, ParkReason::SecretLocked, "k-2026"),
        (no_sas, ParkReason::CredentialRefused, "SAS"),
        (it.sas("rcw", -5), ParkReason::CredentialRefused, "expired"),
        (it.sas("r", 60), ParkReason::AccessDenied, "Permission"),
    ];
    for (identity, reason, detail) in table {
        it.become_known_by(identity);
        for size in [9, PART + 9] {
            let fault = refused(it.send_as("rec", &noise(size, 1), &Wish::default()).await);
            assert_eq!(fault.reason, reason, "{fault}");
            assert!(fault.detail.contains(detail), "{fault}");
        }
    }
    let write_only = it.sas("cw", 60);
    it.become_known_by(write_only);
    sent(it.send("rec", b"x").await);
    // Whoever may not look does not know whether it is there.
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied, "{fault}");
    let fault = it.look("absent").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied, "{fault}");
}
