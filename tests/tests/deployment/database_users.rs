//! What each user of the database may not do, by the database's own answers. What it must be able
//! to do is shown by the main job and by every call that its role makes.

use anyhow::{Context, Result};
use callferry_tests::load::Load;

use super::production::{DATABASE, LONG, Production, statement};
use super::tools;

/// Who must not, and what.
const REFUSED: &[(&str, &str)] = &[
    (
        "transfer",
        "update recordings set state = 'released' where state = 'stored'",
    ),
    ("transfer", "update recordings set released_at = now()"),
    ("transfer", "update recordings set path = path || 'x'"),
    ("transfer", "update recordings set retain_until = null"),
    ("transfer", "delete from recordings"),
    (
        "transfer",
        "insert into accounts (account_id) values ('mine')",
    ),
    ("transfer", "update destinations set bucket = 'mine'"),
    ("transfer", "delete from recording_history"),
    ("transfer", "update recordings set reroute_note = 'mine'"),
    ("transfer", "select body from quarantined_messages"),
    (
        "transfer",
        "insert into retention_policies (account_id, kind) values ('acme', 'call')",
    ),
    (
        "cleanup",
        "insert into recordings (account_id, recording_id) values ('acme', 'mine')",
    ),
    (
        "cleanup",
        "update recordings set state = 'expired' where state = 'released'",
    ),
    ("cleanup", "update recordings set destination_revision = 1"),
    ("cleanup", "update recordings set first_claimed_at = now()"),
    ("cleanup", "select external_id from accounts"),
    ("cleanup", "select body from quarantined_messages"),
    ("cleanup", "delete from quarantined_messages"),
    ("cleanup", "delete from recordings"),
    (
        "housekeeping",
        "update recordings set state = 'released' where state = 'stored'",
    ),
    (
        "housekeeping",
        "update recordings set lease_token = gen_random_uuid(), lease_until = now() \
         where state = 'stored'",
    ),
    (
        "housekeeping",
        "update recordings set attributes = '{\"a\": \"b\"}'",
    ),
    ("housekeeping", "update recordings set retain_until = now()"),
    ("housekeeping", "delete from legal_holds"),
    (
        "housekeeping",
        "update recordings set original_erased_at = now()",
    ),
    (
        "housekeeping",
        "update recordings set erasure_asked_at = now()",
    ),
    (
        "transfer",
        "update recordings set original_erasure_began_at = now()",
    ),
    ("cleanup", "update recordings set erasure_asked_at = now()"),
    ("cleanup", "update recordings set erased_at = now()"),
    (
        "cleanup",
        "insert into erasures (account_id, recording_id, why, asked_by) \
         values ('acme', 'rec-1-00000', 'w', 'me')",
    ),
    (
        "housekeeping",
        "insert into erasures (account_id, recording_id, why, asked_by) \
         values ('acme', 'mine', 'w', 'me')",
    ),
    (
        "housekeeping",
        "update recordings set receipt_etag = 'mine'",
    ),
    (
        "housekeeping",
        "insert into recordings (account_id, recording_id) values ('acme', 'mine')",
    ),
    ("housekeeping", "delete from recordings"),
    (
        "housekeeping",
        "insert into accounts (account_id) values ('mine')",
    ),
    (
        "playback",
        "update recordings set state = 'released' where state = 'stored'",
    ),
    ("playback", "update recordings set receipt_etag = 'mine'"),
    ("playback", "update recordings set path = 'acme/mine'"),
    ("playback", "delete from recordings"),
    ("playback", "update destinations set bucket = 'mine'"),
    ("playback", "update accounts set external_id = 'mine'"),
    ("playback", "update admin_actions set subject = 'mine'"),
    ("playback", "delete from admin_actions"),
    (
        "playback",
        "insert into retention_policies (account_id, kind, in_force_from) \
         values ('acme', 'call', '2020-01-01')",
    ),
    ("playback", "update retention_policies set days = 1"),
    ("playback", "update recordings set retain_until = now()"),
    (
        "playback",
        "update recordings set expiry_attempts = 1, expiry_began_at = now()",
    ),
    ("playback", "update recordings set erased_at = now()"),
    (
        "playback",
        "insert into legal_holds (account_id, reason, placed_by, placed_at) \
         values ('acme', 'r', 'me', '2020-01-01')",
    ),
    ("playback", "update legal_holds set reason = 'mine'"),
    ("playback", "delete from legal_holds"),
    ("playback", "delete from legal_hold_releases"),
    ("playback", "delete from erasures"),
    (
        "playback",
        "insert into retention_stops (account_id, reason, detail) \
         values ('acme', 'too_many', 'd')",
    ),
    ("playback", "update retention_stops set due_until = now()"),
    ("transfer", "select subject from admin_actions"),
    ("playback", "select subject from accesses"),
    ("playback", "update accesses set subject = 'mine'"),
    ("playback", "delete from accesses"),
    (
        "playback",
        "insert into accesses (at, request_id, subject, account_id, recording_id, address, \
         life_s, keep_until) values ('2020-01-01', gen_random_uuid(), 's', 'a', 'r', '::1', 1, \
         '2020-01-02')",
    ),
    ("housekeeping", "select subject from accesses"),
    ("housekeeping", "update accesses set keep_until = now()"),
    ("operator", "delete from accesses"),
    (
        "operator",
        "insert into accesses (request_id, subject, account_id, recording_id, address, life_s, \
         keep_until) values (gen_random_uuid(), 's', 'a', 'r', '::1', 1, now() + '1 day')",
    ),
    ("cleanup", "select subject from accesses"),
    (
        "operator",
        "insert into admin_actions (request_id, subject, action, outcome) \
         values (gen_random_uuid(), 'somebody', 'create_account', 'begun')",
    ),
    (
        "operator",
        "update recordings set state = 'released' where state = 'stored'",
    ),
    ("operator", "update recordings set receipt_etag = 'mine'"),
    ("operator", "update recordings set path = 'acme/mine'"),
    ("operator", "delete from recordings"),
    ("operator", "delete from recording_history"),
    (
        "operator",
        "insert into recording_history (account_id, recording_id, to_state, by_whom, why) \
         values ('acme', 'mine', 'stored', 'me', 'because')",
    ),
    ("operator", "update recordings set lease_until = now()"),
    ("operator", "update destinations set bucket = 'mine'"),
    ("scaler", "select path from recordings"),
    ("scaler", "select count(*) from accounts"),
    ("scaler", "update recordings set due_at = now()"),
];

/// What nobody may but the owner of the tables.
const OWNERS: &[&str] = &[
    "create table mine (id integer)",
    "create schema mine",
    "drop table recordings",
    "alter table recordings disable trigger all",
    "truncate recording_history",
    "create temporary table mine (id integer)",
    "drop trigger each_user_makes_its_own_transitions on recordings",
    "create function mine() returns integer language sql as 'select 1'",
    "update installation set default_external_id = 'mine'",
    "delete from schema_migrations",
    "set role callferry_owner",
];

async fn refused(url: &str, user: &str, sql: &str) -> Result<()> {
    let said = statement(url, sql).await?;
    let signs = [
        "permission denied",
        "must be owner",
        "may not take recording",
        "may not lease or empty recording",
    ];
    // The scaler's sessions are read-only as well, and that may be said first.
    let read_only = user == "scaler" && said.all.contains("read-only transaction");
    let refused = !said.fine && (read_only || signs.iter().any(|sign| said.all.contains(sign)));
    assert!(refused, "{user} may: {sql}\n{}", said.all);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_the_database_is_refused_what_is_not_its_roles() -> Result<()> {
    let production = Production::new("database-users").await?;
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 2,
        size_bytes: 1000,
        seed: 1,
    };
    load.stage(&production.platform)?;
    let mut transfer = production.start("transfer", "transfer").await?;
    load.publish(&production.platform).await?;
    // One stored row to fight over, and one that is gone on with until the end.
    production
        .becomes(("acme", "rec-1-00000"), "stored", None)
        .await?;
    production
        .becomes(("acme", "rec-1-00001"), "stored", None)
        .await?;
    transfer.stop(LONG).await?;
    let postgres = &production.platform.postgres;
    let released = "update recordings set state = 'released', due_at = null, due_queue = null, \
         acknowledged_at = now() where recording_id = 'rec-1-00001'";
    postgres.sql(DATABASE, released).await?;

    let urls = production.database_urls()?;
    for (user, sql) in REFUSED {
        refused(&urls[user], user, sql).await?;
    }
    for (user, url) in &urls {
        for sql in OWNERS {
            refused(url, user, sql).await?;
        }
    }
    let state = "select state from recordings order by recording_id";
    let states = postgres.sql(DATABASE, state).await?;
    assert_eq!(states, "stored\nreleased");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_owner_owns_anything_and_nobody_is_anybody_else() -> Result<()> {
    let production = Production::new("database-owners").await?;
    // Granting again, as after every release, takes nothing away and adds nothing.
    let grants = "select string_agg(format('%s %s %s %s', grantee, table_name, column_name, \
         privilege_type), E'\\n' order by 1) from (select grantee, table_name, column_name, \
         privilege_type from information_schema.column_privileges order by 1, 2, 3, 4) g \
         where grantee like 'callferry%'";
    let postgres = &production.platform.postgres;
    let before = postgres.sql(DATABASE, grants).await?;
    production.grant().await?;
    let after = postgres.sql(DATABASE, grants).await?;
    assert_eq!(before, after);

    let owners = "select distinct pg_get_userbyid(relowner) from pg_class \
         where relnamespace = 'public'::regnamespace";
    let owners = postgres.sql(DATABASE, owners).await?;
    assert_eq!(owners, "callferry_owner");
    let mighty = "select rolname from pg_roles where rolname like 'callferry\\_%' and \
         (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)";
    let mighty = postgres.sql(DATABASE, mighty).await?;
    assert_eq!(mighty, "");
    let members = "select count(*) from pg_auth_members \
         where pg_get_userbyid(member) like 'callferry\\_%'";
    let members = postgres.sql(DATABASE, members).await?;
    assert_eq!(members, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_that_keda_asks_the_ledger_is_answered_to_the_scaler() -> Result<()> {
    let manifest = tools::text("kubernetes/keda/scaling.yaml")?;
    let mut lines = manifest.lines().skip_while(|line| !line.contains("query:"));
    let query = lines.nth(1).context("no query in the manifest")?.trim();
    assert!(query.starts_with("select "), "{query}");
    let production = Production::new("database-scaler").await?;
    let answer = statement(&production.database_url("scaler")?, query).await?;
    assert!(answer.fine, "{}", answer.all);
    assert_eq!(answer.out.trim(), "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_all_of_its_work_as_the_operator() -> Result<()> {
    let production = Production::new("database-operator").await?;
    let refused_before = production.refusals()?;
    let key = production.secrets.join("azure-key");
    std::fs::write(&key, "bGFib3JhdG9yeS1vbmx5LW5vdC1hLXNlY3JldA==\n")?;
    let key = key.display().to_string();
    let message = "insert into quarantined_messages (reason, body_sha256, detail, queue, body, \
         body_bytes, requeuable) select 'not_json', sha256(body), 'a test', 'transfer', body, 1, \
         true from (values ('a'::bytea), ('b'::bytea)) given (body)";
    let postgres = &production.platform.postgres;
    postgres.sql(DATABASE, message).await?;
    // A recording that was never claimed, with an upload that may be open.
    let waiting = "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
         media_type, started_at, completed_at, path, size_bytes, attributes, created_by, \
         destination_revision, due_at, due_queue, upload_id, upload_part_bytes, \
         upload_size_bytes, upload_mtime_ns, upload_inode, upload_entity) \
         select 'globex', 'rec-moves', 'staged', 'call-1', 'call', 'audio/wav', now(), now(), \
         'globex/rec-moves.wav', 1, '{}', gen_random_uuid(), revision, now(), 'transfer', 'u-1', \
         5242880, 1, 1, 1, 'e-1' from destinations where account_id = 'globex'";
    postgres.sql(DATABASE, waiting).await?;
    let azure = |account| {
        let set = ["destination", "set", account, "azure"];
        let place = ["--storage-account", "umbrellacalls", "--container", account];
        // Nothing is there: it must be insisted on.
        let nowhere = [
            "--endpoint",
            "https://127.0.0.1:1025/umbrellacalls",
            "--force",
        ];
        [&set[..], &place, &["--access-key-file", &key], &nowhere].concat()
    };
    let (umbrella, globex) = (azure("umbrella"), azure("globex"));
    let commands: [&[&str]; 17] = [
        &["account", "create", "umbrella", "--name", "Umbrella"],
        &["account", "list"],
        &["account", "show", "umbrella"],
        &umbrella,
        &globex,
        &["recording", "reroute", "--account", "globex", "rec-moves"],
        &["destination", "list", "umbrella"],
        &["destination", "show", "umbrella"],
        &["recording", "list", "--account", "acme"],
        &["parked", "list"],
        &["parked", "retry", "--all"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["quarantine", "requeue", "1"],
        &["quarantine", "drop", "2"],
        &["status"],
        &["config"],
    ];
    for command in commands {
        production.fleet("operator").must(command).await?;
    }
    let refused = production.refusals()?;
    assert_eq!(refused.get(refused_before.len()..), Some(&[][..]));
    Ok(())
}
