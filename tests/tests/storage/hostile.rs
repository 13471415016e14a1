//! Answers that are meant to hurt: too long, too deep, compressed, without an end, or a byte at a
//! time. Each ends as the right fault, within its deadline, and takes no more memory than the
//! limits say, which is measured by how much the server got rid of.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use recording::ParkReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::setting::{MIB, Setting, refused, settings};

/// What a server of bad manners sends after the request.
#[derive(Clone)]
enum Manners {
    /// These bytes, and then the end.
    Once(Vec<u8>),
    /// These bytes, and then these for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then one of these each second of a clock that does not wait.
    Dripping(Vec<u8>, u8),
}

/// A server that counts what it got rid of.
struct Hostile {
    endpoint: String,
    sent: Arc<AtomicU64>,
    _listening: JoinSet<()>,
}

impl Hostile {
    async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sent, paused) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let count = Arc::clone(&sent);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut visitors = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (manners, count) = (manners.clone(), Arc::clone(&count));
                visitors.spawn(answer(client, manners, count, Arc::clone(&paused)));
            }
        });
        Self {
            endpoint,
            sent,
            _listening: listening,
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn answer(
    mut client: TcpStream,
    manners: Manners,
    count: Arc<AtomicU64>,
    paused: Arc<AtomicBool>,
) {
    let mut request = vec![0; 64 * 1024];
    if client.read(&mut request).await.is_err() {
        return;
    }
    let tell = async |client: &mut TcpStream, bytes: &[u8]| {
        let done = client.write_all(bytes).await.is_ok();
        if done {
            count.fetch_add(u64::try_from(bytes.len()).unwrap(), Ordering::SeqCst);
        }
        done
    };
    match manners {
        Manners::Once(bytes) => {
            tell(&mut client, &bytes).await;
            drop(client.shutdown().await);
        }
        Manners::Endless(head, again) => {
            let mut goes_on = tell(&mut client, &head).await;
            while goes_on {
                goes_on = tell(&mut client, &again).await;
            }
        }
        Manners::Dripping(head, byte) => {
            // From here on the test's time runs as fast as everybody waits.
            if !paused.swap(true, Ordering::SeqCst) {
                tokio::time::pause();
            }
            let mut goes_on = tell(&mut client, &head).await;
            while goes_on {
                tokio::time::sleep(Duration::from_secs(1)).await;
                goes_on = tell(&mut client, &[byte]).await;
            }
        }
    }
}

/// A customer whose endpoint is this server.
async fn against(manners: Manners) -> (Setting, Hostile) {
    let mut it = Setting::start().await;
    let hostile = Hostile::start(manners).await;
    let s3 = super::setting::s3(&mut it.destination);
    s3.endpoint = Some(hostile.endpoint.clone());
    (it, hostile)
}

fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

/// What the kernel may hold of what was sent and not yet read, on both sides and for every
/// repetition.
const BUFFERS: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn a_body_without_end_is_read_up_to_its_limit() {
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    for status in ["200 OK", "400 Bad Request", "503 Slow Down"] {
        let begin = head(status, "transfer-encoding: chunked\r\n");
        let (it, hostile) = against(Manners::Endless(begin, chunk.clone())).await;
        let sent = it.send("rec", b"x").await;
        match status {
            // The limit is passed: whether it was done is for a look to tell.
            "200 OK" => drop(super::setting::unclear(sent)),
            _ => drop(refused(sent)),
        }
        let fault = it.look("rec").await.unwrap_err();
        assert_ne!(fault.reason, ParkReason::Interrupted, "{status}: {fault}");
        assert!(
            hostile.sent() > 0 && hostile.sent() < BUFFERS,
            "{}",
            hostile.sent()
        );
    }
}

#[tokio::test]
async fn headers_without_end_are_read_up_to_their_limit() {
    let line = format!("x-more: {}\r\n", "y".repeat(1000)).into_bytes();
    let begin = b"HTTP/1.1 200 OK\r\n".to_vec();
    let (it, hostile) = against(Manners::Endless(begin, line)).await;
    super::setting::unclear(it.send("rec", b"x").await);
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
    assert!(hostile.sent() < BUFFERS, "{}", hostile.sent());
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_long_are_no_answer() {
    let many = "x-more: y\r\n".repeat(101);
    let long = format!("x-more: {}\r\n", "y".repeat(65 * 1024));
    for headers in [many, long] {
        let answer = head(
            "200 OK",
            &format!("{headers}content-length: 0\r\netag: \"x\"\r\n"),
        );
        let (it, _hostile) = against(Manners::Once(answer)).await;
        super::setting::unclear(it.send("rec", b"x").await);
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
    }
    // As many as a store may send are none too many.
    let headers = "x-more: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(90);
    let answer = head(
        "200 OK",
        &format!("{headers}content-length: 0\r\netag: \"x\"\r\n"),
    );
    let (it, _hostile) = against(Manners::Once(answer)).await;
    assert!(it.look("rec").await.is_ok());
}

#[tokio::test]
async fn a_server_that_answers_a_byte_at_a_time_is_given_up_at_the_deadline() {
    for begin in [
        b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec(),
        head("403 Forbidden", "content-length: 1000000\r\n"),
    ] {
        let (it, hostile) = against(Manners::Dripping(begin, b'0')).await;
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
        // One deadline for all repetitions: 60 s, hence not many more bytes.
        assert!(hostile.sent() < 1000, "{}", hostile.sent());
        tokio::time::resume();
    }
    let begin = head("200 OK", "content-length: 1000000\r\n");
    let (it, hostile) = against(Manners::Dripping(begin, b'0')).await;
    super::setting::unclear(it.send("rec", b"x").await);
    assert!(hostile.sent() < 1000, "{}", hostile.sent());
}

#[tokio::test]
async fn nothing_is_unpacked() {
    let error = "<Error><Code>NoSuchBucket</Code></Error>";
    let bomb = format!("{}{error}", " ".repeat(16 * MIB));
    let mut gzip = Command::new("gzip")
        .arg("-9c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(bomb.as_bytes()));
    let packed = gzip.wait_with_output().unwrap().stdout;
    writing.join().unwrap().unwrap();
    assert!(packed.len() < 64 * 1024, "{}", packed.len());
    let headers = format!(
        "content-encoding: gzip\r\ncontent-length: {}\r\n",
        packed.len()
    );
    let answer = [head("404 Not Found", &headers), packed].concat();
    let (it, _hostile) = against(Manners::Once(answer)).await;
    // Packed, it names no bucket that is missing: it is an answer without a code.
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationRefused, "{fault}");
    assert!(!fault.detail.contains("NoSuchBucket"), "{fault}");
}

#[tokio::test]
async fn a_document_that_is_deep_or_defines_entities_says_nothing() {
    let deep = format!(
        "<Error>{}{}<Code>NoSuchBucket</Code></Error>",
        "<a>".repeat(100_000),
        "</a>".repeat(100_000)
    );
    let entities = "<!DOCTYPE Error [<!ENTITY a \"NoSuchBucket\"><!ENTITY b \"&a;&a;&a;\">]>\
                    <Error><Code>&b;</Code></Error>";
    let outside = "<!DOCTYPE Error [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>\
                   <Error><Code>&x;</Code></Error>";
    for document in [&deep, entities, outside] {
        let headers = format!("content-length: {}\r\n", document.len());
        let answer = [
            head("404 Not Found", &headers),
            document.as_bytes().to_vec(),
        ]
        .concat();
        let (it, _hostile) = against(Manners::Once(answer)).await;
        let fault = refused(it.send("rec", b"x").await);
        assert_eq!(fault.reason, ParkReason::DestinationRefused, "{fault}");
        assert_eq!(fault.detail, "put: 404", "{fault}");
        assert!(
            it.look("rec").await.is_err(),
            "a broken listing is no absence"
        );
    }
}

#[tokio::test]
async fn a_token_service_without_end_is_given_up_and_blamed_on_nobody() {
    let mut it = Setting::start().await;
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    for status in ["200 OK", "403 Forbidden"] {
        let begin = head(status, "transfer-encoding: chunked\r\n");
        let hostile = Hostile::start(Manners::Endless(begin, chunk.clone())).await;
        it.stores = super::setting::stores(settings(&hostile.endpoint));
        let fault = refused(it.send("rec", b"x").await);
        assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
        assert!(hostile.sent() < BUFFERS, "{}", hostile.sent());
    }
    // JSON of any depth, as Entra would be: the parser's own limit refuses it before the stack is.
    let nested = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
    let headers = format!("content-length: {}\r\n", nested.len());
    let answer = [head("200 OK", &headers), nested.into_bytes()].concat();
    let hostile = Hostile::start(Manners::Once(answer)).await;
    it.stores = super::setting::stores(settings(&hostile.endpoint));
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable, "{fault}");
}
