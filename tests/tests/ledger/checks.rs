//! Checks of destinations: kept with the revision, never changed, and without one nothing active.

use catalog::AdminFault;
use recording::{
    Approval, Capability, CheckReport, Finding, ParkReason, Permission, Store, Verdict,
};

use super::world::{World, at, bucket, owner};

fn finding(capability: Capability, verdict: Verdict) -> Finding {
    Finding {
        capability,
        verdict,
        detail: "put: 403 AccessDenied\0".to_owned(),
        reason: (verdict == Verdict::Failed).then_some(ParkReason::AccessDenied),
        missing: vec![Permission::PutObject],
        remedy: Some("allow it".to_owned()),
    }
}

fn report(verdict: Verdict) -> CheckReport {
    CheckReport {
        at: at("2024-05-01T11:59:00Z"),
        findings: vec![
            finding(Capability::Reach, Verdict::Passed),
            finding(Capability::Put, verdict),
        ],
    }
}

#[tokio::test]
async fn a_destination_becomes_active_only_after_a_check_or_because_a_person_insists() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let (acme, store) = (owner("acme"), Store::S3(bucket("acme-calls")));
    let set = |approval| {
        let (catalog, acme, store) = (&world.catalog, &acme, &store);
        async move { catalog.set_destination(acme, store, None, &approval).await }
    };
    let refused = set(Approval::Checked(report(Verdict::Failed))).await;
    let Err(refused @ AdminFault::Refused { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(refused.to_string().contains("put"), "{refused}");
    assert!(refused.hint().contains("--force"));
    let none = world.catalog.list_destinations(&acme).await.unwrap();
    assert!(none.is_empty(), "{none:?}");

    let forced = set(Approval::Forced(Some(report(Verdict::Failed)))).await;
    let revision = forced.unwrap().revision;
    let last = world.catalog.last_check(revision).await.unwrap().unwrap();
    assert_eq!((last.usable, last.forced), (Some(false), true));
    assert_eq!(last.findings[1].missing, [Permission::PutObject]);
    assert_eq!(last.findings[1].detail, "put: 403 AccessDenied");
    assert_eq!(last.at, at("2024-05-01T11:59:00Z"));

    // What is set again is checked again, also where nothing else changes.
    let again = set(Approval::Checked(report(Verdict::Warned)))
        .await
        .unwrap();
    assert_eq!(again.revision, revision);
    let shown = world.catalog.show_destination(&acme).await.unwrap();
    let last = shown.last_check.unwrap();
    assert_eq!((last.usable, last.forced), (Some(true), false));

    set(Approval::Forced(None)).await.unwrap();
    let last = world.catalog.last_check(revision).await.unwrap().unwrap();
    assert_eq!((last.usable, last.forced), (None, true));
    assert!(last.findings.is_empty());
}

#[tokio::test]
async fn checks_are_appended_never_changed_and_old_ones_go_but_what_was_insisted_on() {
    let world = World::settled().await;
    let revision = world.set("acme", &bucket("acme-bucket")).await.unwrap();
    let revision = revision.revision;
    let old = CheckReport {
        at: at("2020-01-01T00:00:00Z"),
        ..report(Verdict::Passed)
    };
    world
        .catalog
        .record_check(revision, &old, false)
        .await
        .unwrap();
    world
        .catalog
        .record_check(revision, &old, true)
        .await
        .unwrap();
    let today = CheckReport {
        at: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(365 * 200),
        ..report(Verdict::Passed)
    };
    world
        .catalog
        .record_check(revision, &today, false)
        .await
        .unwrap();
    let counts = "select count(*) filter (where forced), count(*) filter (where not forced)
                    from destination_checks";
    // Two were insisted on when the destination was set, one here.
    assert_eq!(world.sql(counts).await, "3|1");
    for change in [
        "update destination_checks set usable = true",
        "delete from destination_checks where not forced",
        "delete from destination_checks where forced",
    ] {
        assert!(world.try_sql(change).await.is_err(), "{change}");
    }
    let nobodys = world.catalog.record_check(999_999, &old, false).await;
    assert!(nobodys.is_err());
}

#[tokio::test]
async fn words_of_a_later_release_are_left_out_and_do_not_hide_the_rest() {
    let world = World::settled().await;
    let shown = world.catalog.show_destination(&owner("acme")).await;
    let revision = shown.unwrap().revision;
    let findings = r#"[{"capability": "put", "verdict": "passed", "detail": "stored"},
        {"capability": "of a later release", "verdict": "passed", "detail": "x"}]"#;
    world
        .sql(&format!(
            "insert into destination_checks (revision, usable, forced, findings)
             values ({revision}, true, false, '{findings}')"
        ))
        .await;
    let last = world.catalog.last_check(revision).await.unwrap().unwrap();
    assert_eq!(last.findings.len(), 1);
    assert_eq!(last.findings[0].capability, Capability::Put);
}

#[tokio::test]
async fn what_would_be_set_is_planned_with_its_external_id_and_whose_keys_it_meets() {
    let world = World::settled().await;
    world.account("beta").await;
    let (acme, beta) = (owner("acme"), owner("beta"));
    let shown = world.catalog.show_account(&"beta".parse().unwrap()).await;
    let shared = Store::S3(bucket("acme-bucket"));
    let overlapping = world.catalog.plan_destination(&beta, &shared).await;
    assert!(
        matches!(overlapping, Err(AdminFault::Overlap { .. })),
        "{overlapping:?}"
    );
    let own = Store::S3(bucket("beta-bucket"));
    let planned = world.catalog.plan_destination(&beta, &own).await.unwrap();
    assert_eq!(planned.revision, 0);
    assert_eq!(planned.external_id, Some(shown.unwrap().external_id));
    assert!(!planned.account_leads_key);
    let overlap = world.catalog.find_overlap(&planned).await.unwrap();
    assert_eq!(overlap.verdict, Verdict::Passed, "{overlap:?}");

    let revision = world.catalog.show_destination(&acme).await.unwrap();
    let reached = world.catalog.reached(revision.revision).await.unwrap();
    let overlap = world.catalog.find_overlap(&reached).await;
    assert_eq!(overlap.unwrap().verdict, Verdict::Passed);
    let nobody = owner("nobody");
    let unknown = world.catalog.plan_destination(&nobody, &own).await;
    assert!(matches!(unknown, Err(AdminFault::NotFound { .. })));
    let reserved = "callferry-check".parse().unwrap();
    assert!(world.catalog.create_account(&reserved, None).await.is_err());
}
