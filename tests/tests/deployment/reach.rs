//! Who reaches what in containers: whoever works at customers' buckets gets out and has the
//! platform's identity, nobody else does, and staging may be a bucket instead of a folder.

use anyhow::{Context, Result};
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};

use super::manifests::{build, of_kind};
use super::tools::{deploy, documents};

/// A service's list, in short or long form, as names.
fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().into_iter().flatten();
    let names = list.map(|one| one["source"].as_str().or(one.as_str()));
    names.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn in_compose_whoever_works_at_buckets_gets_out_with_the_platforms_identity() -> Result<()> {
    let file = deploy("compose/compose.yaml");
    let Some(found) = documents(&file, "who gets out in the compose file").await? else {
        return Ok(());
    };
    let compose = found.first().context("an empty compose file")?;
    let outward = [
        "transfer",
        "cleanup",
        "housekeeping",
        "playback",
        "operator",
    ];
    for (name, service) in compose["services"].as_object().context("no services")? {
        let is_ours = service["image"] == "callferry:local";
        let out = names(&service["networks"]).contains(&"outside");
        let identity = names(&service["secrets"]).contains(&"aws-credentials");
        if is_ours {
            let expected = outward.contains(&name.as_str());
            assert_eq!((out, identity), (expected, expected), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn in_compose_staging_may_be_a_bucket_each_role_with_an_identity_of_its_own() -> Result<()> {
    let file = deploy("compose/staging-s3.yaml");
    let Some(found) = documents(&file, "staging in a bucket, in compose").await? else {
        return Ok(());
    };
    let services = &found.first().context("an empty compose file")?["services"];
    for (service, identity) in [
        ("migrate", "setup"),
        ("transfer", "transfer"),
        ("cleanup", "cleanup"),
        ("operator", "operator"),
    ] {
        let service = &services[service];
        let environment = &service["environment"];
        let url = environment["CALLFERRY_STAGING_URL"].as_str();
        assert!(
            url.is_some_and(|url| url.contains("STAGING_URL:?")),
            "{service}"
        );
        let file = format!("/run/secrets/{identity}.aws-credentials");
        assert_eq!(environment["AWS_SHARED_CREDENTIALS_FILE"], file);
        assert_eq!(names(&service["secrets"]), [format!("{identity}-aws")]);
    }
    let networks = json!(["inside", "outside"]);
    assert_eq!(services["migrate"]["networks"], networks);
    Ok(())
}

#[tokio::test]
async fn in_kubernetes_staging_may_be_a_bucket_that_everybody_who_needs_it_reaches() -> Result<()> {
    let scratch = Scratch::new("manifests-bucket")?;
    let what = "staging in a bucket, in kubernetes";
    for folder in ["production-bucket", "production-bucket-setup"] {
        let Some(file) = build(folder, &scratch, what).await? else {
            return Ok(());
        };
        let Some(objects) = documents(&file, what).await? else {
            return Ok(());
        };
        let text = std::fs::read_to_string(&file)?;
        for of_a_folder in [
            "persistentVolumeClaim",
            "PersistentVolumeClaim",
            "file:///",
            "/staging",
        ] {
            assert!(!text.contains(of_a_folder), "{folder}: {of_a_folder}");
        }
        let maps = of_kind(&objects, "ConfigMap");
        let url = "s3://our-staging/recordings";
        let mut maps = maps.iter();
        assert!(
            maps.any(|map| map["data"]["CALLFERRY_STAGING_URL"] == url),
            "{folder}"
        );
        let policies = of_kind(&objects, "NetworkPolicy");
        let clouds = policies
            .iter()
            .find(|it| it["metadata"]["name"] == "callferry-clouds");
        if let Some(clouds) = clouds {
            let who = clouds["spec"]["podSelector"].to_string();
            assert!(who.contains("\"setup\""), "{who}");
        }
        // Each has an identity of its own.
        for account in of_kind(&objects, "ServiceAccount") {
            let name = account["metadata"]["name"].as_str().unwrap_or_default();
            let role = &account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
            let expected = format!("arn:aws:iam::123456789012:role/{name}");
            assert_eq!(*role, expected, "{name}");
        }
    }
    Ok(())
}
