//! Child processes can be stopped, crashed, frozen and measured, and never outlive us.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use callferry_tests::child::Launch;
use callferry_tests::fleet::Fleet;
use callferry_tests::patience;
use callferry_tests::ports::free_port;
use callferry_tests::scratch::Scratch;

use crate::{A_WHILE, SOON, processes_in, until_no_process_is_left_in};

#[tokio::test]
async fn a_member_is_stopped_crashed_frozen_and_measured() {
    let scratch = Scratch::new("harness-fleet").unwrap();
    let fleet = Fleet::of(Path::new("/bin/sh"), scratch.path());
    let stops = "trap 'echo bye; exit 0' TERM; echo up $GREETING; while :; do sleep 0.05; done";
    let fleet = fleet.with("GREETING", "hello");
    let mut member = fleet.start_args("stops", &["-c", stops], &[]).unwrap();
    let said = patience::until("it is up", SOON, async || {
        Ok(Some(member.log_text()?).filter(|log| log.contains("up")))
    });
    assert_eq!(said.await.unwrap(), "up hello\n");
    member.sigstop().unwrap();
    assert!(member.runs().unwrap());
    member.sigcont().unwrap();
    assert!(member.readings().unwrap().anonymous_bytes > 0);
    assert!(member.readings().unwrap().peak_bytes > 0);
    member.stop(SOON).await.unwrap();
    assert!(member.log_text().unwrap().ends_with("bye\n"));
    assert!(member.sigterm().is_err());

    let mut crashed = fleet
        .start_args("crashes", &["-c", "sleep 1000"], &[])
        .unwrap();
    assert!(crashed.ready(A_WHILE).await.is_err());
    crashed.sigkill().unwrap();
    let error = format!("{:#}", crashed.ready(SOON).await.unwrap_err());
    assert!(error.contains("ended by itself"), "{error}");
}

#[tokio::test]
async fn a_command_is_run_to_its_end_with_its_output_apart() {
    let scratch = Scratch::new("harness-command").unwrap();
    let fleet = Fleet::of(Path::new("/bin/sh"), scratch.path());
    let outcome = fleet
        .run(&["-c", "echo '{\"a\": 1}'; echo no >&2; exit 3"])
        .await
        .unwrap();
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.json().unwrap()["a"], 1);
    assert_eq!(outcome.stderr, "no\n");
    assert!(outcome.success().is_err());
}

#[tokio::test]
async fn a_child_dies_with_its_handle_and_with_the_process_that_started_it() {
    let scratch = Scratch::new("harness-child").unwrap();
    let log = scratch.path().join("log");
    let dir = scratch.path();
    let nap = || {
        Launch::new("nap", "sleep", &log)
            .args(["1000"])
            .directory(dir)
    };
    let child = nap().start().unwrap();
    patience::until("it runs", SOON, async || {
        Ok(processes_in(dir).first().copied())
    })
    .await
    .unwrap();
    drop(child);
    assert!(processes_in(dir).is_empty());

    // A process of its own starts a child by the same means (this very program, asked to run the
    // test below) and is killed: nothing of it may tidy up.
    let me = std::env::current_exe().unwrap();
    let test = [
        "children::a_parent_waits_to_be_killed",
        "--exact",
        "--nocapture",
    ];
    let mut parent = Launch::new("parent", &me, &log).args(test).directory(dir);
    parent = parent.envs([("HARNESS_PARENT_OF_A_NAP", dir)]);
    let mut parent = parent.start().unwrap();
    let both = patience::until("parent and child run", SOON, async || {
        Ok(Some(processes_in(dir)).filter(|pids| pids.len() == 2))
    });
    both.await.unwrap();
    parent.signal(rustix::process::Signal::KILL).unwrap();
    parent.wait(SOON).await.unwrap();
    until_no_process_is_left_in(dir).await;
}

/// Not a test by itself: the parent of the test above. Started by anyone else it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_to_be_killed() {
    let environment = std::fs::read("/proc/self/environ").unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let mut told = environment
        .split('\0')
        .filter_map(|v| v.strip_prefix("HARNESS_PARENT_OF_A_NAP="));
    let Some(dir) = told.next().map(Path::new) else {
        return;
    };
    let nap = Launch::new("nap", "sleep", &dir.join("log"))
        .args(["1000"])
        .directory(dir);
    // Started from a thread that ends at once, which must not be the end of the child.
    let child = tokio::task::spawn_blocking(move || nap.start().unwrap())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1000)).await;
    drop(child);
}

#[test]
fn a_free_port_is_given_out_once() {
    let mut ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}

#[test]
fn a_failing_command_is_not_started_in_silence() {
    let scratch = Scratch::new("harness-missing").unwrap();
    let log = scratch.path().join("log");
    let mut child = Launch::new("missing", "/no/such/program", &log)
        .start()
        .unwrap();
    let status = loop {
        if let Some(status) = child.ended().unwrap() {
            break status;
        }
        // Not worth a runtime.
        Command::new("sleep").arg("0.02").status().unwrap();
    };
    assert!(!status.success());
    assert!(
        child
            .must_run()
            .unwrap_err()
            .to_string()
            .contains("/no/such/program")
    );
}
