//! A check of a container by each identity: all green where all is well, and where one thing is
//! missing exactly the finding that says so.

use recording::{
    AzureIdentity, Capability, CheckReport, Checker, Diagnosis, Finding, ParkReason, Verdict,
};

use callferry_tests::scratch::Scratch;

use super::identities::{CLIENT, TENANT, over_https, with_entra};
use super::setting::{
    CONTAINER, STORAGE_ACCOUNT, Setting, access_key, azure, destination, principal, settings,
    stores,
};

/// A process of its own each time: refusals are remembered for a while.
async fn check(it: &Setting) -> CheckReport {
    let checker = stores(settings()).checker();
    let account = "acme".parse().unwrap();
    checker.check(&it.destination, &account).await
}

/// What is not as it should be, as `capability verdict`.
fn wrong(report: &CheckReport) -> Vec<String> {
    let wrong = report.findings.iter().filter(|it| match it.verdict {
        Verdict::Failed | Verdict::Warned => true,
        Verdict::Passed | Verdict::NotApplicable | Verdict::Skipped => false,
    });
    wrong
        .map(|it| format!("{} {}", it.capability, it.verdict.as_str()))
        .collect()
}

fn of(report: &CheckReport, capability: Capability) -> Finding {
    report.of(capability).unwrap().clone()
}

fn remedy(report: &CheckReport, capability: Capability) -> String {
    of(report, capability).remedy.unwrap()
}

async fn blobs(it: &Setting) -> Vec<String> {
    it.azurite.list(STORAGE_ACCOUNT, CONTAINER).await.unwrap()
}

/// Azurite without a tap, by its account's key.
async fn setting(name: &str) -> Option<Setting> {
    let mut it = Setting::start(name).await?;
    let identity = access_key(it.azurite.key(STORAGE_ACCOUNT));
    it.destination = destination(&it.azurite.endpoint(STORAGE_ACCOUNT), identity);
    Some(it)
}

fn assert_all_tried(report: &CheckReport) {
    assert_eq!(report.findings.len(), Capability::ALL.len());
    let skipped = report.findings.iter();
    let skipped = skipped.filter(|it| it.verdict == Verdict::Skipped);
    let skipped: Vec<_> = skipped.map(|it| it.capability).collect();
    assert_eq!(skipped, [Capability::Overlap], "{report:?}");
}

#[tokio::test]
async fn by_an_account_key_all_is_green_and_nothing_is_left() {
    let Some(it) = setting("azure-check-key").await else {
        return;
    };
    let report = check(&it).await;
    assert_eq!(wrong(&report), Vec::<String>::new(), "{report:?}");
    assert_all_tried(&report);
    assert_eq!(blobs(&it).await, Vec::<String>::new());
    let told = serde_json::to_string(&report).unwrap();
    assert!(!told.contains(it.azurite.key(STORAGE_ACCOUNT)), "{told}");
}

#[tokio::test]
async fn a_sas_stores_and_cannot_play_and_what_it_may_not_is_told_with_how_to_make_another() {
    let Some(mut it) = setting("azure-check-sas").await else {
        return;
    };
    let year = 365 * 24 * 60;
    let known_by = |it: &mut Setting, permissions: &str, minutes| {
        let sas = it.sas(permissions, minutes);
        azure(&mut it.destination).identity = sas;
    };
    known_by(&mut it, "rcwdxl", year);
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["signed_read failed"]);
    assert!(report.is_usable());
    assert!(remedy(&report, Capability::SignedRead).contains("identity that can sign"));
    assert_eq!(blobs(&it).await, Vec::<String>::new());

    known_by(&mut it, "rcwdxl", 13 * 24 * 60);
    let report = check(&it).await;
    assert_eq!(
        wrong(&report),
        ["signed_read failed", "secret_expiry warned"]
    );

    known_by(&mut it, "rcwd", year);
    let report = check(&it).await;
    let without_listing = ["signed_read failed", "delete_version failed"];
    assert_eq!(wrong(&report), without_listing);
    assert!(report.is_usable());
    assert!(remedy(&report, Capability::DeleteVersion).contains("rcwdxl"));

    known_by(&mut it, "r", year);
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["put failed"]);
    assert!(remedy(&report, Capability::Put).contains("az storage container generate-sas"));

    known_by(&mut it, "cw", year);
    let report = check(&it).await;
    assert!(
        wrong(&report).contains(&"look failed".to_owned()),
        "{report:?}"
    );
    assert!(!report.is_usable());

    // What may not be deleted stays, once, and makes no later check less certain.
    known_by(&mut it, "rcw", year);
    for _ in 0..3 {
        let report = check(&it).await;
        assert_eq!(wrong(&report), ["signed_read failed", "delete failed"]);
        assert_eq!(report.diagnosis(), Diagnosis::Healthy, "{report:?}");
        let stays = blobs(&it).await;
        assert_eq!(stays, ["callferry-check/object"]);
    }
    // With what may be deleted, too.
    known_by(&mut it, "rcwdxl", year);
    for _ in 0..3 {
        let report = check(&it).await;
        assert_eq!(wrong(&report), ["signed_read failed"]);
        assert_eq!(report.diagnosis(), Diagnosis::Healthy, "{report:?}");
    }
    assert_eq!(
        blobs(&it).await,
        ["callferry-check/object"],
        "it is too young"
    );

    known_by(&mut it, "rcwdxl", -5);
    let report = check(&it).await;
    let expected = ["session failed", "secret_expiry failed"];
    assert_eq!(wrong(&report), expected, "{report:?}");
    let reason = of(&report, Capability::Session).reason;
    assert_eq!(reason, Some(ParkReason::CredentialRefused));
    let told = serde_json::to_string(&report).unwrap();
    let AzureIdentity::Sas { sas_token } = &azure(&mut it.destination).identity else {
        panic!("no SAS");
    };
    let signature = sas_token.reveal().unwrap().split("sig=").nth(1).unwrap();
    assert!(!told.contains(signature), "{told}");
}

#[tokio::test]
async fn checks_at_once_find_nothing_wrong_whenever_the_others_begin() {
    let Some(mut it) = setting("azure-check-at-once").await else {
        return;
    };
    for (permissions, expected) in [
        ("rcwdxl", vec!["signed_read failed"]),
        ("rcw", vec!["signed_read failed", "delete failed"]),
    ] {
        azure(&mut it.destination).identity = it.sas(permissions, 365 * 24 * 60);
        for step in 0..8 {
            let later = |times: u64| {
                let it = &it;
                async move {
                    let wait = std::time::Duration::from_millis(11 * step * times);
                    tokio::time::sleep(wait).await;
                    check(it).await
                }
            };
            let (one, two, three) = tokio::join!(later(0), later(1), later(2));
            for report in [one, two, three] {
                assert_eq!(wrong(&report), expected, "{step}: {report:?}");
                assert_eq!(report.diagnosis(), Diagnosis::Healthy, "{step}: {report:?}");
            }
        }
    }
    assert_eq!(blobs(&it).await, ["callferry-check/object"]);
}

#[tokio::test]
async fn what_is_not_there_or_not_believed_is_told_with_the_command_that_helps() {
    let Some(mut it) = setting("azure-check-missing").await else {
        return;
    };
    azure(&mut it.destination).container = "missing".to_owned();
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["owner failed"]);
    let reason = of(&report, Capability::Owner).reason;
    assert_eq!(reason, Some(ParkReason::BucketMissing));
    let create = "az storage container create --account-name acmeblobs --name missing";
    assert!(remedy(&report, Capability::Owner).contains(create));

    azure(&mut it.destination).container = CONTAINER.to_owned();
    azure(&mut it.destination).identity = access_key("d3Jvbmc=");
    // Azurite says of a wrong signature what Azure says of a network rule.
    let report = check(&it).await;
    assert_eq!(wrong(&report), ["put failed", "list failed"], "{report:?}");
    assert!(remedy(&report, Capability::Put).contains("az storage account keys list"));
}

#[tokio::test]
async fn an_application_is_all_green_and_a_wrong_secret_is_told() {
    let scratch = Scratch::new("azure-check-principal").unwrap();
    let Some((mut it, entra)) = over_https(scratch).await else {
        return;
    };
    let account = "acme".parse().unwrap();
    let report = it.stores.checker().check(&it.destination, &account).await;
    assert_eq!(wrong(&report), Vec::<String>::new(), "{report:?}");
    assert_all_tried(&report);
    assert_eq!(blobs(&it).await, Vec::<String>::new());

    azure(&mut it.destination).identity = principal(TENANT, CLIENT, "canary");
    let ca_file = it.azurite.ca_file();
    let anew = stores(with_entra(&entra, ca_file.as_deref()));
    let report = anew.checker().check(&it.destination, &account).await;
    assert_eq!(wrong(&report), ["session failed"], "{report:?}");
    let remedy = remedy(&report, Capability::Session);
    assert!(remedy.contains("az ad app credential reset"), "{remedy}");
    let told = serde_json::to_string(&report).unwrap();
    assert!(!told.contains("canary"), "{told}");
}
