//! A check of a bucket where one permission is missing: exactly the finding that says so, with this
//! permission named, the reason that a recording would be parked with, and the line to add.

use recording::{Capability, ObjectTags, ParkReason, Permission, S3Bucket, Verdict};

use super::checking::{KEPT, KEY, check, granted, of, setting, wrong};
use super::setting::{BUCKET, ROLE, s3};
use callferry_tests::s3::Arranged;

/// Which finding fails without a permission; `None` where the fleet gets along and only says so.
fn without(permission: Permission) -> (Capability, Verdict) {
    use Capability as Of;
    let failed = |capability| (capability, Verdict::Failed);
    match permission {
        Permission::PutObject | Permission::PutObjectTagging | Permission::PutObjectAcl => {
            failed(Of::Put)
        }
        Permission::AbortMultipartUpload | Permission::ListBucketMultipartUploads => {
            failed(Of::SweepUploads)
        }
        Permission::ListMultipartUploadParts => (Of::Multipart, Verdict::Warned),
        Permission::GetObject => failed(Of::Look),
        Permission::GetObjectVersion => failed(Of::SignedRead),
        Permission::ListBucket => failed(Of::List),
        Permission::ListBucketVersions | Permission::DeleteObjectVersion => {
            failed(Of::DeleteVersion)
        }
        Permission::DeleteObject => failed(Of::Delete),
        Permission::GenerateDataKey | Permission::Decrypt => failed(Of::Encryption),
    }
}

/// The destination for which a permission matters.
fn wish(permission: Permission, bucket: &mut S3Bucket) {
    match permission {
        Permission::GetObjectVersion
        | Permission::ListBucketVersions
        | Permission::DeleteObjectVersion => KEPT.clone_into(&mut bucket.bucket),
        Permission::GenerateDataKey | Permission::Decrypt => bucket.kms_key = Some(KEY.to_owned()),
        // Both, so that each must be told from the other.
        Permission::PutObjectTagging | Permission::PutObjectAcl => {
            let tags = [("team".to_owned(), "calls".to_owned())];
            bucket.options.tags = ObjectTags::new(tags).unwrap();
            bucket.options.bucket_owner_full_control = true;
        }
        Permission::PutObject
        | Permission::AbortMultipartUpload
        | Permission::ListMultipartUploadParts
        | Permission::GetObject
        | Permission::ListBucket
        | Permission::ListBucketMultipartUploads
        | Permission::DeleteObject => {}
    }
}

#[tokio::test]
async fn each_missing_permission_is_named_by_exactly_one_finding_with_the_line_to_add() {
    for permission in Permission::ALL.iter().copied() {
        let mut it = setting().await;
        wish(permission, s3(&mut it.destination));
        let keys = Arranged {
            guards_keys: true,
            ..Arranged::default()
        };
        it.lab.arrange(BUCKET, keys);
        assert_eq!(
            wrong(&check(&it).await),
            Vec::<String>::new(),
            "{permission}"
        );
        it.lab
            .change_role(ROLE, |role| role.permissions = granted(&[permission]));
        let report = check(&it).await;
        let (capability, verdict) = without(permission);
        let expected = format!("{capability} {}", verdict.as_str());
        assert_eq!(wrong(&report), [expected], "{permission}");
        let finding = of(&report, capability);
        assert_eq!(finding.missing, [permission]);
        if verdict == Verdict::Failed {
            assert_eq!(finding.reason, Some(ParkReason::AccessDenied));
        }
        let remedy = finding.remedy.unwrap();
        let statement = remedy.lines().find(|line| line.starts_with('{')).unwrap();
        let statement: serde_json::Value = serde_json::from_str(statement).unwrap();
        assert_eq!(statement["Action"][0], permission.action());
        assert!(remedy.contains(ROLE), "{remedy}");
    }
}

#[tokio::test]
async fn where_nothing_may_be_deleted_one_small_object_stays_however_often_it_is_checked() {
    for (bucket, permission) in [
        (BUCKET, Permission::DeleteObject),
        (KEPT, Permission::DeleteObjectVersion),
    ] {
        let mut it = setting().await;
        bucket.clone_into(&mut s3(&mut it.destination).bucket);
        it.lab
            .change_role(ROLE, |role| role.permissions = granted(&[permission]));
        let mut verdicts = Vec::new();
        for _ in 0..3 {
            let report = check(&it).await;
            verdicts.push(wrong(&report));
            let finding = report.concerns().next().unwrap();
            assert!(
                finding.detail.contains("stays: callferry-check/"),
                "{finding:?}"
            );
            it.lab
                .age_objects(bucket, std::time::Duration::from_secs(3600));
            let versions = it.lab.versions(bucket);
            assert_eq!(versions.len(), 1, "{versions:?}");
        }
        assert_eq!(verdicts[0], verdicts[1]);
        assert_eq!(verdicts[0], verdicts[2]);
        // Once it may be deleted, it is.
        it.lab
            .change_role(ROLE, |role| role.permissions = granted(&[]));
        assert_eq!(wrong(&check(&it).await), Vec::<String>::new());
        assert_eq!(it.lab.versions(bucket), Vec::<String>::new());
    }
}
