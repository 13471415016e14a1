//! Tables of what an Azure destination may say.

use std::path::{Path, PathBuf};

use super::words::{access_key, client, container, prefix, storage_account, tenant};
use super::*;

/// A key as Azure shows it, of nobody.
const KEY: &str =
    "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";
const SAS: &str = "sv=2023-11-03&sr=c&sp=rcw&se=2027-01-31T00%3A00%3A00Z&spr=https&sig=canary%3D";

fn now() -> DateTime<Utc> {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn with_ring() -> Config {
    Config {
        keyring_file: Some("/etc/callferry/keyring".into()),
        ..Config::default()
    }
}

fn sound() -> AzureArgs {
    AzureArgs {
        storage_account: "acmecalls".to_owned(),
        container: "acme-calls".to_owned(),
        ..AzureArgs::default()
    }
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn each_identity_takes_its_own_flags_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let key = file(folder.path(), "key", &format!("{KEY}\n"));
    let sas = file(folder.path(), "sas", &format!("?{SAS}\n"));
    let secret = file(folder.path(), "secret", "canary~1.\n");
    let principal = AzureArgs {
        tenant_id: Some("72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned()),
        client_id: Some("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned()),
        client_secret_file: Some(secret.into()),
        ..sound()
    };
    let with_sas = AzureArgs {
        sas_token_file: Some(sas.into()),
        ..sound()
    };
    let with_key = AzureArgs {
        access_key_file: Some(key.into()),
        ..sound()
    };
    for (args, identity, kept) in [
        (&principal, "service_principal", "canary~1."),
        (&with_sas, "sas", SAS),
        (&with_key, "access_key", KEY),
    ] {
        let container = args.check(&with_ring(), now()).unwrap();
        assert_eq!(container.identity.as_str(), identity);
        let secret = container.identity.secret().unwrap();
        assert_eq!(secret.reveal().unwrap(), kept);
        let debugged = format!("{container:?}");
        assert!(!debugged.contains("canary"), "{debugged}");
    }
}

#[test]
fn flags_of_different_identities_are_told_apart() {
    // None of these files is read: what is wrong is said first.
    let file = |name: &str| Some(PathBuf::from("/does/not/exist").join(name).into());
    let principal = AzureArgs {
        tenant_id: Some("72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned()),
        client_id: Some("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned()),
        client_secret_file: file("secret"),
        ..sound()
    };
    let both = AzureArgs {
        access_key_file: file("key"),
        sas_token_file: file("sas"),
        ..sound()
    };
    let mixed = AzureArgs {
        sas_token_file: file("sas"),
        ..principal.clone()
    };
    let half = AzureArgs {
        client_secret_file: None,
        client_id: None,
        ..principal
    };
    let managed_by_tenant = AzureArgs {
        managed_identity: true,
        tenant_id: half.tenant_id.clone(),
        ..sound()
    };
    let federated_alone = AzureArgs {
        federated: true,
        tenant_id: half.tenant_id.clone(),
        ..sound()
    };
    let keyed_by_client = AzureArgs {
        client_id: mixed.client_id.clone(),
        access_key_file: both.access_key_file.clone(),
        ..sound()
    };
    let federated_with_secret = AzureArgs {
        federated: true,
        sas_token_file: None,
        ..mixed.clone()
    };
    for (args, says) in [
        (
            managed_by_tenant,
            "--tenant-id and --managed-identity belong to",
        ),
        (federated_alone, "--client-id missing"),
        (
            keyed_by_client,
            "--client-id and --access-key-file belong to",
        ),
        (
            federated_with_secret,
            "--client-secret-file and --federated belong",
        ),
        (both, "--sas-token-file and --access-key-file belong to"),
        (mixed, "--client-secret-file and --sas-token-file belong"),
        (half, "--client-id and --client-secret-file missing"),
        (sound(), "who we are"),
    ] {
        let error = args.check(&with_ring(), now()).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        let hint = crate::failure::hint(&error).unwrap();
        assert!(hint.contains("service principal"), "{hint}");
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}

#[test]
fn identities_without_a_secret_need_no_key_ring() {
    let client_id = Some("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned());
    let federated = AzureArgs {
        federated: true,
        tenant_id: Some("acme.example".to_owned()),
        client_id: client_id.clone(),
        ..sound()
    };
    let managed = AzureArgs {
        managed_identity: true,
        ..sound()
    };
    let one_of_several = AzureArgs {
        client_id,
        ..managed.clone()
    };
    for (args, word) in [
        (&federated, "federated"),
        (&managed, "managed_identity"),
        (&one_of_several, "managed_identity"),
    ] {
        let container = args.check(&Config::default(), now()).unwrap();
        assert_eq!(container.identity.as_str(), word);
        assert!(container.identity.secret().is_none());
    }
    let misspelt = AzureArgs {
        client_id: Some("my-identity".to_owned()),
        ..managed
    };
    let error = misspelt.check(&Config::default(), now()).unwrap_err();
    assert!(error.to_string().contains("--client-id"), "{error}");
}

#[test]
fn a_secret_needs_a_key_ring_and_none_is_read_without() {
    let args = AzureArgs {
        access_key_file: Some("/does/not/exist".into()),
        ..sound()
    };
    let error = args.check(&Config::default(), now()).unwrap_err();
    assert!(error.to_string().contains("keyring_file"), "{error}");
    let hint = crate::failure::hint(&error).unwrap();
    assert!(hint.contains("callferry keyring new"), "{hint}");
}

#[test]
fn names_are_plain() {
    for name in ["abc", "acmecalls1", "0aa"] {
        assert!(storage_account(name, false).is_ok(), "{name}");
    }
    assert!(storage_account("acme-lab", true).is_ok());
    let long = "x".repeat(25);
    for name in [
        "", "ab", "Acme", "acme-lab", "a.b.c", "a/b/c", "abc@d", &long,
    ] {
        assert!(storage_account(name, false).is_err(), "{name}");
    }
    for name in ["-ab", "ab-", "a.b.c", "a/b/c", "a:b"] {
        assert!(storage_account(name, true).is_err(), "{name}");
    }
    for name in ["abc", "acme-calls", "0-0"] {
        assert!(container(name).is_ok(), "{name}");
    }
    let long = "x".repeat(64);
    for name in [
        "", "ab", "Acme", "a--b", "-abc", "abc-", "a_b_c", "a/b", "$web", "$root", &long,
    ] {
        assert!(container(name).is_err(), "{name}");
    }
    assert!(prefix("eu/calls.v1").is_ok());
    assert!(prefix("calls./x").is_err() && prefix("calls..").is_err());
}

#[test]
fn directories_applications_and_keys_are_recognised() {
    for text in ["72f988bf-86f1-41af-91ab-2d7cd011db47", "acme.example"] {
        assert!(tenant(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "common",
        "organizations",
        "acme",
        "a/b.c",
        "a..b",
        ".acme",
        "x?y.z",
    ] {
        assert!(tenant(text).is_err(), "{text}");
    }
    assert!(client("00001111-aaaa-2222-bbbb-3333cccc4444").is_ok());
    for text in ["", "callferry", "00001111aaaa2222bbbb3333cccc4444"] {
        assert!(client(text).is_err(), "{text}");
    }
    assert!(access_key(KEY).is_ok());
    for text in ["", "YQ==", "no base64!", KEY.trim_end_matches('5')] {
        assert!(access_key(text).is_err(), "{text}");
    }
    let whole = format!("DefaultEndpointsProtocol=https;AccountKey={KEY};EndpointSuffix=x");
    let error = access_key(&whole).unwrap_err();
    assert!(error.to_string().contains("connection string"), "{error}");
    assert!(!format!("{error:#}").contains(KEY));
}

#[test]
fn a_sas_is_refused_for_what_can_be_known_without_asking_azure() {
    assert_eq!(sas::check(SAS, now()).unwrap(), SAS);
    let account = "sv=2023-11-03&ss=b&srt=co&sp=rwdlac&se=2027-01-31&sig=canary";
    assert_eq!(sas::check(account, now()).unwrap(), account);
    for (from, to, says) in [
        ("sig=canary%3D", "", "signature"),
        ("sv=2023-11-03&", "", "version"),
        ("sp=rcw", "sp=cw", "read"),
        ("sp=rcw", "sp=rl", "create or write"),
        (
            "2027-01-31T00%3A00%3A00Z",
            "2026-11-22T09%3A59Z",
            "ended at",
        ),
        ("2027-01-31T00%3A00%3A00Z", "soon", "when it ends"),
        (
            "se=2027-01-31T00%3A00%3A00Z",
            "si=policy",
            "stored access policy",
        ),
        ("sr=c", "sr=b", "not of a container"),
        ("sr=c&", "", "what it is of"),
        ("sr=c", "ss=q&srt=o", "not of blobs"),
        ("sr=c", "ss=b&srt=c", "not of blobs"),
        (
            "sv=",
            "https://acmecalls.blob.core.windows.net/acme?sv=",
            "URL",
        ),
    ] {
        let changed = SAS.replacen(from, to, 1);
        assert_ne!(changed, SAS);
        let error = sas::check(&changed, now()).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(crate::failure::hint(&error).is_some());
        assert!(!format!("{error:#}").contains("canary"), "{error:#}");
    }
}

#[test]
fn a_sas_ends_when_it_says_in_each_of_azures_spellings() {
    for (text, ends) in [
        ("2027-01-31T10:11:12Z", "2027-01-31T10:11:12Z"),
        ("2027-01-31T10%3A11%3A12Z", "2027-01-31T10:11:12Z"),
        ("2027-01-31T10:11Z", "2027-01-31T10:11:00Z"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
    ] {
        let ends: DateTime<Utc> = ends.parse().unwrap();
        assert_eq!(sas::expiry(&format!("se={text}")), Some(ends), "{text}");
    }
    assert_eq!(sas::expiry("sp=r"), None);
    assert!(sas::may_expire("sp=rcwdxl"));
    for less in ["sp=rcwd", "sp=rcwl", SAS] {
        assert!(!sas::may_expire(less), "{less}");
    }
}

#[test]
fn endpoints_and_prefixes_are_checked_as_for_the_other_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let key = file(folder.path(), "key", KEY);
    let with = |endpoint: Option<&str>, leading: &str| {
        let args = AzureArgs {
            endpoint: endpoint.map(str::to_owned),
            prefix: Some(leading.to_owned()),
            access_key_file: Some(key.clone().into()),
            ..sound()
        };
        args.check(&with_ring(), now())
    };
    let own = with(Some("https://acmecalls.blob.core.windows.net"), "calls").unwrap();
    assert_eq!((own.endpoint, own.prefix.as_str()), (None, "calls"));
    for (endpoint, leading) in [
        (Some("http://acmecalls.blob.core.windows.net"), ""),
        (Some("https://169.254.169.254/acmecalls"), ""),
        (Some("https://other.blob.core.windows.net"), ""),
        (None, "a/../b"),
        (None, "calls."),
    ] {
        assert!(with(endpoint, leading).is_err(), "{endpoint:?} {leading}");
    }
}
