//! The documents of the kit against files that people have read (`tests/golden/setup-kit`), and
//! what they say against the table. `CALLFERRY_REWRITE_GOLDEN=1` writes the files anew.

use std::path::PathBuf;

use recording::{Need, Permission, When};
use serde_json::Value;

use super::{AwsKit, AzureKit, Kit, Partition, RoleName, Workload, permissions, quoted};

fn aws() -> AwsKit {
    AwsKit {
        owner: "acme".to_owned(),
        partition: Partition::Aws,
        region: "eu-central-1".to_owned(),
        endpoint: None,
        bucket: "acme-recordings".to_owned(),
        prefix: String::new(),
        keys: String::new(),
        kms_key: None,
        aws_account: None,
        role: RoleName {
            path: "/".to_owned(),
            name: "callferry-acme".to_owned(),
        },
        principals: vec!["arn:aws:iam::444455556666:role/callferry".to_owned()],
        external_id: "cf-00112233445566778899aabbccddeeff".to_owned(),
        permissions: permissions(&[], |when| when == When::Always),
        creates_bucket: false,
        in_force: None,
        differs: false,
    }
}

/// Everything at once, in China.
fn aws_full() -> AwsKit {
    AwsKit {
        partition: Partition::China,
        region: "cn-north-1".to_owned(),
        prefix: "calls/eu's".to_owned(),
        keys: "acme/calls/eu's/".to_owned(),
        kms_key: Some("arn:aws-cn:kms:cn-north-1:111122223333:key/0a1b".to_owned()),
        aws_account: Some("111122223333".to_owned()),
        role: RoleName {
            path: "/vendors/".to_owned(),
            name: "callferry".to_owned(),
        },
        principals: ["transfer", "cleanup", "housekeeping", "playback"]
            .map(|role| format!("arn:aws-cn:iam::444455556666:role/callferry-{role}"))
            .to_vec(),
        permissions: permissions(&[Need::Playback, Need::Retention], |_| true),
        creates_bucket: true,
        ..aws()
    }
}

fn azure() -> AzureKit {
    AzureKit {
        owner: "globex".to_owned(),
        storage_account: "globexcalls".to_owned(),
        container: "recordings".to_owned(),
        endpoint: None,
        prefix: String::new(),
        needs: Vec::new(),
        workload: None,
        creates_container: false,
    }
}

fn azure_full() -> AzureKit {
    AzureKit {
        endpoint: Some("https://globexcalls.blob.core.usgovcloudapi.net".to_owned()),
        prefix: "calls".to_owned(),
        needs: vec![Need::Playback, Need::Retention],
        creates_container: true,
        ..azure()
    }
}

fn azure_federated() -> AzureKit {
    let subject = |role: &str| format!("system:serviceaccount:callferry:callferry-{role}");
    AzureKit {
        workload: Some(Workload {
            issuer: "https://oidc.example/cluster".to_owned(),
            subjects: ["transfer", "cleanup"].map(subject).to_vec(),
        }),
        ..azure()
    }
}

fn golden() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/setup-kit").into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever changes the kit on purpose says so by the environment"
)]
fn rewrites() -> bool {
    std::env::var_os("CALLFERRY_REWRITE_GOLDEN").is_some()
}

fn compare(case: &str, kit: &Kit) {
    let folder = golden().join(case);
    let talk = [
        kit.steps.join("\n"),
        kit.notes.join("\n"),
        kit.next.join("\n"),
    ]
    .join("\n\n");
    let documents = kit.documents.iter();
    let documents = documents.map(|document| (document.name, document.text.clone()));
    for (name, text) in documents.chain([("ANSWER.txt", talk + "\n")]) {
        let path = folder.join(name);
        if rewrites() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            known == text,
            "{} differs; it is now:\n{text}",
            path.display()
        );
    }
}

#[test]
fn the_documents_are_those_that_people_have_read() {
    for (case, kit) in [("plain", aws()), ("full", aws_full())] {
        compare(&format!("iam-{case}"), &kit.iam());
        compare(&format!("cloudformation-{case}"), &kit.cloudformation());
        compare(&format!("terraform-{case}"), &kit.terraform());
    }
    for (case, kit) in [
        ("plain", azure()),
        ("full", azure_full()),
        ("federated", azure_federated()),
    ] {
        compare(&format!("azure-cli-{case}"), &kit.azure_cli());
        compare(&format!("bicep-{case}"), &kit.bicep());
    }
}

fn document(kit: &Kit, name: &str) -> String {
    let mut documents = kit.documents.iter();
    let found = documents.find(|document| document.name == name).unwrap();
    found.text.clone()
}

#[test]
fn each_language_allows_each_permission_of_the_table_that_is_chosen_and_nothing_else() {
    for (kit, all) in [(aws(), false), (aws_full(), true)] {
        let chosen = |permission: &Permission| kit.permissions.contains(permission);
        assert_eq!(Permission::ALL.iter().all(chosen), all);
        let policy: Value =
            serde_json::from_str(&document(&kit.iam(), "permissions.json")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let actions: Vec<_> = statements.iter().map(|it| it["Action"].as_str()).collect();
        let expected: Vec<_> = kit.permissions.iter().map(|it| Some(it.action())).collect();
        assert_eq!(actions, expected);
        let yaml = document(&kit.cloudformation(), "callferry-role.yaml");
        let hcl = document(&kit.terraform(), "callferry-role.tf");
        for permission in Permission::ALL {
            let action = permission.action();
            let said = usize::from(chosen(permission));
            assert_eq!(
                yaml.matches(&format!("Action: {action}\n")).count(),
                said,
                "{action}"
            );
            assert_eq!(
                hcl.matches(&format!("[\"{action}\"]")).count(),
                said,
                "{action}"
            );
            assert_eq!(
                yaml.matches(&format!("# {}\n", permission.why())).count(),
                said
            );
        }
        assert_eq!(
            yaml.matches("Action: ").count(),
            kit.permissions.len() + 1,
            "and the trust"
        );
    }
    let storing: Vec<_> = aws().permissions.iter().map(|it| it.need()).collect();
    let is_base = |need: &Need| matches!(need, Need::Storing | Need::Tidiness);
    assert!(storing.iter().all(is_base), "{storing:?}");
}

#[test]
fn statements_are_told_apart_and_fit_into_a_roles_policy() {
    let mut kit = aws_full();
    kit.bucket = "b".repeat(63);
    kit.keys = format!("{}/{}/", "a".repeat(128), "p".repeat(512));
    let policy = document(&kit.iam(), "permissions.json");
    let letters = policy.chars().filter(|c| !c.is_whitespace()).count();
    assert!(
        letters <= 10_240,
        "IAM takes 10240 characters, not {letters}"
    );
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let mut sids: Vec<_> = policy["Statement"].as_array().unwrap().iter().collect();
    sids.sort_by_key(|it| it["Sid"].to_string());
    sids.dedup_by_key(|it| it["Sid"].to_string());
    assert_eq!(sids.len(), Permission::ALL.len());
    let plain = |it: &&Value| {
        it["Sid"]
            .as_str()
            .unwrap()
            .bytes()
            .all(|b| b.is_ascii_alphanumeric())
    };
    assert!(sids.iter().all(plain), "{sids:?}");
}

#[test]
fn the_key_is_named_only_where_there_is_one() {
    for text in [
        document(&aws().iam(), "permissions.json"),
        document(&aws().cloudformation(), "callferry-role.yaml"),
        document(&aws().terraform(), "callferry-role.tf"),
    ] {
        assert!(!text.to_lowercase().contains("kms"), "{text}");
    }
    let full = document(&aws_full().iam(), "key-policy-statement.json");
    assert!(
        full.contains("arn:aws-cn:iam::111122223333:role/vendors/callferry"),
        "{full}"
    );
    assert!(full.contains("s3.cn-north-1.amazonaws.com.cn"), "{full}");
}

#[test]
fn azure_may_delete_and_play_only_where_that_is_wanted() {
    let plain = document(&azure().azure_cli(), "create.sh");
    assert!(
        !plain.contains("blobs/delete") && !plain.contains("Delegator"),
        "{plain}"
    );
    let sas = document(&azure().azure_cli(), "sas.sh");
    assert!(sas.contains("--permissions rcw "), "{sas}");
    let full = document(&azure_full().azure_cli(), "sas.sh");
    assert!(full.contains("--permissions rcwdxl "), "{full}");
    for text in [
        document(&azure_full().azure_cli(), "create.sh"),
        document(&azure_full().bicep(), "callferry-role.bicep"),
    ] {
        assert!(
            text.contains("Storage Blob Delegator") && !text.contains("blobs/*"),
            "{text}"
        );
    }
}

#[test]
fn an_application_that_trusts_our_workload_has_no_secret() {
    for kit in [azure_federated().azure_cli(), azure_federated().bicep()] {
        let all = format!("{kit:?}");
        assert!(
            !all.contains("secret_file") && !all.contains("client-secret"),
            "{all}"
        );
        let next = kit.next.first().unwrap();
        assert!(
            next.starts_with("callferry destination set globex azure --federated"),
            "{next}"
        );
    }
    let script = document(&azure_federated().azure_cli(), "create.sh");
    for says in [
        "trust callferry-2 '{\"name\": \"callferry-2\"",
        "\"issuer\": \"https://oidc.example/cluster\"",
        "\"subject\": \"system:serviceaccount:callferry:callferry-cleanup\"",
        "api://AzureADTokenExchange",
    ] {
        assert!(script.contains(says), "{says}: {script}");
    }
}

#[test]
fn words_reach_a_shell_as_they_are() {
    for (word, quotes) in [
        ("acme-calls", "acme-calls"),
        ("arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x"),
        ("it's", "'it'\\''s'"),
        ("a b", "'a b'"),
        ("", "''"),
        ("(x)", "'(x)'"),
    ] {
        assert_eq!(quoted(word), quotes);
    }
}
