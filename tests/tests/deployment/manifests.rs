//! Compose file and Kubernetes manifests: valid by the schemas of those who define them, and with
//! the powers that the roles are meant to have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::scratch::Scratch;
use serde_json::Value;
use tokio::process::Command;

use super::tools::{deploy, documents, find, installed, must, run};

const ROLES: [&str; 4] = ["transfer", "cleanup", "housekeeping", "playback"];

/// Builds a kustomization into a file; `None` where nothing here can (said loudly).
pub(crate) async fn build(folder: &str, scratch: &Scratch, what: &str) -> Result<Option<PathBuf>> {
    let Some(kubectl) = find("kubectl", what)? else {
        return Ok(None);
    };
    let folder = deploy("kubernetes").join(folder);
    let built = must(Command::new(kubectl).arg("kustomize").arg(&folder)).await?;
    let name = folder.file_name().context("a folder without a name")?;
    let file = scratch.path().join(name).with_extension("yaml");
    std::fs::write(&file, built)?;
    Ok(Some(file))
}

async fn validate(file: &Path, what: &str) -> Result<()> {
    if let Some(validator) = installed("manifests/bin/kubernetes-validate", what)? {
        let said = run(Command::new(validator).arg("--strict").arg(file)).await?;
        assert!(said.fine, "{}", said.all);
    }
    let what = format!("{what}: custom resources");
    let (node, known) = (
        find("node", &what)?,
        installed("deployment/complete", &what)?,
    );
    if let (Some(node), Some(_)) = (node, known) {
        let script = environment::repository().join("tests/tools/deployment/custom.mjs");
        let said = run(Command::new(node).arg(script).arg(file)).await?;
        assert!(said.fine, "{}", said.all);
    }
    Ok(())
}

#[tokio::test]
async fn the_manifests_of_kubernetes_are_what_kubernetes_keda_and_prometheus_understand()
-> Result<()> {
    let scratch = Scratch::new("manifests")?;
    for folder in [
        "base",
        "setup",
        "production",
        "production-setup",
        "production-bucket",
        "production-bucket-setup",
    ] {
        let what = format!("kubernetes/{folder}");
        if let Some(file) = build(folder, &scratch, &what).await? {
            validate(&file, &what).await?;
        }
    }
    Ok(())
}

/// All objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let found = objects.iter().filter(|object| object["kind"] == kind);
    found.collect()
}

fn labels(object: &Value) -> &Value {
    &object["spec"]["selector"]["matchLabels"]
}

#[tokio::test]
async fn in_kubernetes_each_role_has_its_own_powers_and_a_locked_container() -> Result<()> {
    let scratch = Scratch::new("manifests-powers")?;
    let what = "powers in kubernetes";
    let Some(file) = build("production", &scratch, what).await? else {
        return Ok(());
    };
    let Some(objects) = documents(&file, what).await? else {
        return Ok(());
    };
    let deployments = of_kind(&objects, "Deployment");
    assert_eq!(deployments.len(), ROLES.len());
    let mut accounts = BTreeSet::new();
    for deployment in deployments {
        let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
        let role = name.strip_prefix("callferry-").unwrap_or_default();
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(
            pod["containers"][0]["args"],
            serde_json::json!(["run", role])
        );
        locked(pod, name);
        let staging = mount(pod, "staging");
        let writable = match role {
            "transfer" => Some(false),
            "cleanup" => Some(true),
            _ => None,
        };
        assert_eq!(staging, writable, "{name}'s staging");
        let budgets = of_kind(&objects, "PodDisruptionBudget");
        let budgets = budgets.iter().filter(|it| labels(it) == labels(deployment));
        assert_eq!(budgets.count(), 1, "{name}'s disruption budget");
        accounts.insert(pod["serviceAccountName"].as_str().unwrap_or_default());
        let secrets = pod["volumes"].to_string();
        for other in ROLES.iter().filter(|other| **other != role) {
            assert!(
                !secrets.contains(&format!("callferry-{other}")),
                "{name}: {secrets}"
            );
        }
    }
    assert_eq!(accounts.len(), ROLES.len(), "a service account each");
    scaled(&objects)
}

/// Whether a pod mounts a volume, and for writing.
fn mount(pod: &Value, volume: &str) -> Option<bool> {
    let named = |list: &Value| {
        let list = list.as_array().into_iter().flatten();
        list.into_iter().find(|it| it["name"] == volume).cloned()
    };
    let mounted = named(&pod["containers"][0]["volumeMounts"])?;
    let claimed = named(&pod["volumes"])?;
    let (mounted, claimed) = (
        mounted["readOnly"] == true,
        claimed["persistentVolumeClaim"]["readOnly"] == true,
    );
    assert_eq!(mounted, claimed, "{volume}: mount and claim say the same");
    Some(!mounted)
}

/// No root, no privileges, nothing to write to, and both probes.
fn locked(pod: &Value, name: &str) {
    let of_pod = &pod["securityContext"];
    assert_eq!(of_pod["runAsNonRoot"], true, "{name}");
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault", "{name}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
    assert!(pod["terminationGracePeriodSeconds"].is_number(), "{name}");
    let container = &pod["containers"][0];
    let own = &container["securityContext"];
    assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
    assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
    assert_eq!(own["capabilities"]["drop"][0], "ALL", "{name}");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert!(
        container["resources"]["limits"]["memory"].is_string(),
        "{name}"
    );
    // Secrets come as files: what is in the environment is seen by whoever sees the process.
    let environment = container["env"].to_string();
    for word in ["AMQP_URL", "DATABASE_URL", "PASSWORD", "SECRET_ACCESS_KEY"] {
        assert!(!environment.contains(word), "{name}: {environment}");
    }
}

/// KEDA scales what is there, by the queue there is, and no number in a file contradicts it.
fn scaled(objects: &[Value]) -> Result<()> {
    let scaling = of_kind(objects, "ScaledObject");
    let scaling = scaling.first().context("nothing is scaled")?;
    let target = &scaling["spec"]["scaleTargetRef"]["name"];
    let deployments = of_kind(objects, "Deployment");
    let target = deployments
        .iter()
        .find(|deployment| deployment["metadata"]["name"] == *target)
        .context("what is scaled is not there")?;
    assert_eq!(target["spec"].get("replicas"), None, "{target}");
    let triggers = scaling["spec"]["triggers"].as_array();
    let triggers = triggers.context("no triggers")?;
    let kinds: Vec<_> = triggers.iter().map(|it| it["type"].as_str()).collect();
    assert_eq!(kinds, [Some("rabbitmq"), Some("postgresql")]);
    let queues = broker::topology::export("callferry")["queues"].to_string();
    let queue = &triggers[0]["metadata"]["queueName"];
    assert!(queues.contains(&format!("\"name\":{queue}")), "{queue}");
    Ok(())
}

#[tokio::test]
async fn the_compose_files_are_valid_by_the_newest_specification() -> Result<()> {
    let what = "compose file";
    let Some(validator) = installed("manifests/bin/check-jsonschema", what)? else {
        return Ok(());
    };
    let mut command = Command::new(validator);
    command.args(["--builtin-schema", "vendor.compose-spec"]);
    command.arg(deploy("compose/compose.yaml"));
    let said = run(command.arg(deploy("compose/staging-s3.yaml"))).await?;
    assert!(said.fine, "{}", said.all);
    Ok(())
}

#[tokio::test]
async fn in_the_compose_file_each_role_has_its_own_powers_and_a_locked_container() -> Result<()> {
    let what = "powers in the compose file";
    let file = deploy("compose/compose.yaml");
    let Some(found) = documents(&file, what).await? else {
        return Ok(());
    };
    let compose = found.first().context("an empty compose file")?;
    let services = compose["services"].as_object().context("no services")?;
    for (name, service) in services {
        for published in service["ports"].as_array().into_iter().flatten() {
            let published = published.as_str().unwrap_or_default();
            assert!(published.starts_with("127.0.0.1:"), "{name}: {published}");
        }
        if service["image"] == "callferry:local" {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
            assert_eq!(
                service["security_opt"][0], "no-new-privileges:true",
                "{name}"
            );
            assert!(!service["user"].to_string().contains("root"), "{name}");
        }
    }
    for role in ROLES {
        let service = &services[role];
        assert_eq!(service["command"], serde_json::json!(["run", role]));
        let volumes = service["volumes"].to_string();
        let (mounts, read_only) = (volumes.contains("/staging"), volumes.contains(":ro"));
        let expected = match role {
            "transfer" => (true, true),
            "cleanup" => (true, false),
            _ => (false, false),
        };
        assert_eq!((mounts, read_only), expected, "{role}: {volumes}");
        let secrets = service["secrets"].to_string();
        for other in ROLES.iter().filter(|other| **other != role) {
            assert!(!secrets.contains(other), "{role} has {other}'s secrets");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_file_that_the_compose_files_name_is_there_or_is_made_by_its_script() -> Result<()> {
    for file in ["compose/compose.yaml", "compose/staging-s3.yaml"] {
        if let Some(found) = documents(&deploy(file), "files of the compose files").await? {
            named(found.first().context("an empty compose file")?).await?;
        }
    }
    Ok(())
}

async fn named(compose: &Value) -> Result<()> {
    let scratch = Scratch::new("compose-files")?;
    let made = scratch.path().join("secrets");
    must(Command::new(deploy("compose/secrets.sh")).arg(&made)).await?;
    for (name, secret) in compose["secrets"].as_object().into_iter().flatten() {
        let path = secret["file"].as_str().context("a secret without a file")?;
        let path = path.strip_prefix("./secrets/").context("elsewhere")?;
        assert!(
            made.join(path).is_file(),
            "{name}: secrets.sh makes no {path}"
        );
    }
    let services = compose["services"].as_object().context("no services")?;
    let volumes = services
        .values()
        .filter_map(|service| service["volumes"].as_array())
        .flatten();
    for volume in volumes.filter_map(Value::as_str) {
        let source = volume.split(':').next().unwrap_or_default();
        if source.starts_with('.') {
            let source = deploy("compose").join(source);
            assert!(source.exists(), "{} is not there", source.display());
        }
    }
    Ok(())
}
