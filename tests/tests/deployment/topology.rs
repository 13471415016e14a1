//! `deploy/rabbitmq/definitions.json` and the code say the same.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::tools;

fn definitions() -> Result<Value> {
    Ok(serde_json::from_str(&tools::text(
        "rabbitmq/definitions.json",
    )?)?)
}

#[test]
fn exchange_queues_and_bindings_are_those_that_topology_export_prints() -> Result<()> {
    let file = definitions()?;
    let code = broker::topology::export("callferry");
    for part in ["exchanges", "queues", "bindings"] {
        assert_eq!(
            file[part], code[part],
            "{part}: `callferry topology export` has the right ones"
        );
    }
    Ok(())
}

#[test]
fn nobody_in_the_file_has_a_password_and_each_user_has_permissions_of_its_own() -> Result<()> {
    let file = definitions()?;
    let names = |part: &str, key: &str| -> BTreeSet<String> {
        let rows = file[part].as_array().into_iter().flatten();
        rows.filter_map(|row| row[key].as_str())
            .map(str::to_owned)
            .collect()
    };
    let users = names("users", "name");
    assert_eq!(users, names("permissions", "user"));
    assert_eq!(users, names("topic_permissions", "user"));
    for user in file["users"].as_array().into_iter().flatten() {
        // RabbitMQ lets nobody in by password whose hash is empty.
        assert_eq!(user["password_hash"], "", "{user}");
        assert_eq!(user.get("password"), None, "{user}");
        assert!(
            !user["tags"].to_string().contains("administrator"),
            "{user}"
        );
    }
    for part in ["permissions", "topic_permissions"] {
        for row in file[part].as_array().into_iter().flatten() {
            for key in ["configure", "write", "read"] {
                let pattern = row[key].as_str().unwrap_or("^$");
                // Without its ends a pattern covers everything that merely contains it.
                assert!(
                    pattern.starts_with('^') && pattern.ends_with('$'),
                    "{row}: {key}"
                );
            }
        }
    }
    Ok(())
}
