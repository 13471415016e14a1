//! What no check at set-up can see: names that change their mind, and servers that send us on.

use recording::ParkReason;
use storage::StoreSettings;

use super::connecting::{Of, Process, strict};
use super::landing::Landing;
use super::staged::{self, Setting};

/// Busy, and no connection is kept: a repetition connects anew.
const BUSY: &str = "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// One loopback address stands for a public one, and the next for our own network.
fn half_allowed() -> StoreSettings {
    StoreSettings {
        allow_http: true,
        allowed_private_ranges: vec!["127.0.0.1/32".parse().unwrap()],
        ..strict()
    }
}

/// A public place and a private one at the same port.
async fn public_and_private() -> (Landing, Landing) {
    loop {
        let public = Landing::at("127.0.0.1", 0, BUSY).await.unwrap();
        if let Ok(private) = Landing::at("127.0.0.2", public.port, HELLO).await {
            return (public, private);
        }
    }
}

#[tokio::test]
async fn a_name_that_turns_private_between_two_connects_is_refused_at_the_second() {
    for of in [Of::S3, Of::Azure] {
        let (public, private) = public_and_private().await;
        let mut process = Process::new(half_allowed());
        let endpoint = format!("http://rebinding.test:{}", public.port);
        let destination = process.destination(of, &endpoint);
        let (good, bad): (&[&str], &[&str]) = (&["127.0.0.1"], &["127.0.0.2"]);
        process.names.set("rebinding.test", &[good, bad]);
        // The first attempt is answered "busy"; its repetition resolves the name again.
        let (written, looked) = process.attempt(&destination).await;
        for fault in [written, looked] {
            assert_eq!(fault.reason, ParkReason::AddressRefused, "{of:?}: {fault}");
        }
        assert_eq!(private.visits(), 0, "{of:?}");
        assert_eq!(public.visits(), 1, "{of:?}");
        assert!(process.names.asked() >= 3, "{of:?}");
    }
}

#[tokio::test]
async fn the_address_that_is_judged_is_the_one_that_is_connected_to() {
    for of in [Of::S3, Of::Azure] {
        let (public, private) = public_and_private().await;
        let mut process = Process::new(half_allowed());
        let endpoint = format!("http://steady.test:{}", public.port);
        let destination = process.destination(of, &endpoint);
        process.names.set("steady.test", &[&["127.0.0.1"]]);
        let (written, _) = process.attempt(&destination).await;
        assert!(
            matches!(
                written.reason,
                ParkReason::DestinationUnreachable | ParkReason::Throttled
            ),
            "{of:?}: {written}"
        );
        // No second question between judging and connecting: as many answers as connections.
        assert_eq!(process.names.asked(), public.visits(), "{of:?}");
        assert!(public.visits() >= 2, "{of:?}: repetitions connect anew");
        assert_eq!(private.visits(), 0);
    }
}

#[tokio::test]
async fn one_private_address_among_several_refuses_them_all() {
    let (public, private) = public_and_private().await;
    let mut process = Process::new(half_allowed());
    let endpoint = format!("http://mixed.test:{}", public.port);
    let destination = process.destination(Of::S3, &endpoint);
    for answer in [&["127.0.0.1", "127.0.0.2"], &["127.0.0.2", "127.0.0.1"]] {
        process.names.set("mixed.test", &[answer]);
        let (written, looked) = process.attempt(&destination).await;
        assert_eq!(written.reason, ParkReason::AddressRefused, "{written}");
        assert_eq!(looked.reason, ParkReason::AddressRefused, "{looked}");
    }
    assert_eq!((public.visits(), private.visits()), (0, 0));
}

#[tokio::test]
async fn an_allowed_range_is_reached_in_every_spelling_and_no_other() {
    let (public, private) = public_and_private().await;
    let mut process = Process::new(half_allowed());
    process.names.set("allowed.test", &[&["127.0.0.1"]]);
    let (mut visits, port) = (0, public.port);
    for host in ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "allowed.test"] {
        let destination = process.destination(Of::S3, &format!("http://{host}:{port}"));
        let (written, _) = process.attempt(&destination).await;
        assert_ne!(
            written.reason,
            ParkReason::AddressRefused,
            "{host}: {written}"
        );
        assert!(public.visits() > visits, "{host}");
        visits = public.visits();
    }
    for host in ["127.0.0.2", "[::ffff:127.0.0.2]", "127.2"] {
        let destination = process.destination(Of::S3, &format!("http://{host}:{port}"));
        let (written, _) = process.attempt(&destination).await;
        assert_eq!(
            written.reason,
            ParkReason::AddressRefused,
            "{host}: {written}"
        );
    }
    assert_eq!(private.visits(), 0);
}

fn redirect(status: u16, to: &str) -> String {
    format!(
        "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn a_redirect_is_followed_by_nobody() {
    let inside = Landing::at("127.0.0.1", 0, HELLO).await.unwrap();
    for status in [301, 302, 307, 308] {
        let to = format!("http://127.0.0.1:{}/calls", inside.port);
        let outside = Landing::at("127.0.0.1", 0, &redirect(status, &to)).await;
        let outside = outside.unwrap();
        let mut process = Process::new(half_allowed());
        for of in [Of::S3, Of::Azure] {
            let endpoint = format!("http://127.0.0.1:{}", outside.port);
            let destination = process.destination(of, &endpoint);
            let (written, looked) = process.attempt(&destination).await;
            for fault in [written, looked] {
                assert_eq!(
                    fault.reason,
                    ParkReason::WrongRegion,
                    "{of:?} {status}: {fault}"
                );
            }
        }
        assert!(outside.visits() >= 4);
    }
    assert_eq!(inside.visits(), 0);
}

#[tokio::test]
async fn token_services_send_us_nowhere_either() {
    let inside = Landing::at("127.0.0.1", 0, HELLO).await.unwrap();
    for status in [301, 307, 308] {
        let to = format!("http://127.0.0.1:{}/", inside.port);
        let services = Landing::at("127.0.0.1", 0, &redirect(status, &to)).await;
        let services = services.unwrap();
        let origin = format!("http://127.0.0.1:{}", services.port);
        // S3 by a role: STS answers with a redirect.
        let mut it = Setting::start().await;
        it.stores = staged::stores(staged::settings(&origin));
        let fault = staged::refused(it.send("rec", b"x").await);
        assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
        // Azure by an application: so does Entra.
        let settings = StoreSettings {
            entra_authority: Some(origin.clone()),
            ..half_allowed()
        };
        let mut process = Process::new(settings);
        let mut destination = process.destination(Of::Azure, &origin);
        if let recording::Store::Azure(azure) = &mut destination.store {
            azure.identity = recording::AzureIdentity::ServicePrincipal {
                tenant_id: "tenant".to_owned(),
                client_id: "client".to_owned(),
                client_secret: recording::Secret::new("word".to_owned()),
            };
        }
        let (written, _) = process.attempt(&destination).await;
        assert_eq!(
            written.reason,
            ParkReason::DestinationUnreachable,
            "{written}"
        );
        assert!(services.visits() >= 2);
    }
    assert_eq!(inside.visits(), 0);
}
