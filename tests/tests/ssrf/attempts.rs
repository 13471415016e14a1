//! The attempts. `PORT` stands for a port of ours on which somebody would hear a connection.

/// Names that are in no DNS, and what they resolve to in the tests.
pub(crate) const NAMES: [(&str, &[&str]); 15] = [
    ("localhost", &["127.0.0.1"]),
    ("loopback.test", &["127.0.0.1"]),
    ("loopback6.test", &["::1"]),
    ("private10.test", &["10.0.0.8"]),
    ("private172.test", &["172.16.9.1"]),
    ("private192.test", &["192.168.1.7"]),
    ("metadata.test", &["169.254.169.254"]),
    ("metadata6.test", &["fd00:ec2::254"]),
    ("cgnat.test", &["100.64.0.1"]),
    ("multicast.test", &["224.0.0.1"]),
    ("unspecified.test", &["0.0.0.0"]),
    ("mapped.test", &["::ffff:10.0.0.8"]),
    ("nat64.test", &["64:ff9b::a00:8"]),
    ("mixed.test", &["52.216.1.1", "127.0.0.1"]),
    ("xn--exmple-cua.test", &["10.0.0.8"]),
];

/// One attempt.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    /// What is tried, for people.
    pub(crate) what: &'static str,
    /// The endpoint.
    pub(crate) endpoint: &'static str,
}

macro_rules! attempts {
    ($($what:literal: $($endpoint:literal)+;)+) => {
        &[$($(Attempt { what: $what, endpoint: $endpoint },)+)+]
    };
}

/// Every one.
pub(crate) const ATTEMPTS: &[Attempt] = attempts![
    "plain http": "http://s3.example.test" "http://127.0.0.1:PORT";
    "another scheme": "ftp://s3.example.test" "file:///etc/passwd" "gopher://127.0.0.1:PORT/_x";
    "user-info": "https://user:word@127.0.0.1:PORT" "https://s3.example.test@127.0.0.1:PORT";
    "a query": "https://127.0.0.1:PORT?x=y" "https://127.0.0.1:PORT?";
    "a fragment": "https://127.0.0.1:PORT#@s3.example.test" "https://127.0.0.1:PORT#";
    "a path": "https://127.0.0.1:PORT/latest/meta-data" "https://s3.example.test/a/../b";
    "a backslash": r"https://s3.example.test\@127.0.0.1:PORT" r"https:\\127.0.0.1:PORT";
    "white space and line breaks": "https://127.0.0.1:PORT/\r\nx-evil: 1"
        "\thttps://127.0.0.1:PORT";
    "a port of another service": "https://s3.example.test:22" "https://s3.example.test:25"
        "https://s3.example.test:80" "https://s3.example.test:445" "https://s3.example.test:1023"
        "https://s3.example.test:0";
    "an IPv4 address": "https://127.0.0.1:PORT" "https://10.0.0.8" "https://172.16.0.1"
        "https://192.168.0.1" "https://169.254.169.254" "https://100.64.0.1" "https://0.0.0.0:PORT"
        "https://224.0.0.1" "https://255.255.255.255" "https://198.18.0.1" "https://192.0.2.1";
    "a public IPv4 address": "https://52.216.1.1";
    "an IPv4 address in another spelling": "https://2130706433:PORT" "https://0x7f000001:PORT"
        "https://0x7f.1:PORT" "https://0177.0.0.1:PORT" "https://017700000001:PORT"
        "https://127.1:PORT" "https://127.0.1:PORT" "https://127.0.0.1.:PORT"
        "https://%31%32%37.0.0.1:PORT";
    "an IPv6 address": "https://[::1]:PORT" "https://[::]:PORT" "https://[fd00:ec2::254]"
        "https://[fc00::1]" "https://[fe80::1]" "https://[fe80::1%25lo]:PORT" "https://[ff02::1]"
        "https://[2001:db8::1]";
    "a public IPv6 address": "https://[2600:1fa0::1]";
    "an IPv4 address in an IPv6 one": "https://[::ffff:127.0.0.1]:PORT"
        "https://[::ffff:7f00:1]:PORT" "https://[::127.0.0.1]:PORT" "https://[64:ff9b::7f00:1]:PORT"
        "https://[64:ff9b::a9fe:a9fe]" "https://[64:ff9b:1::7f00:1]" "https://[2002:7f00:1::]"
        "https://[2001:0:7f00:1::]";
    "other letters": "https://ｌｏｃａｌｈｏｓｔ:PORT" "https://①②⑦.⓪.⓪.①:PORT" "https://exämple.test:PORT";
    "a name in punycode that is private": "https://xn--exmple-cua.test:PORT";
    "a dot at the end": "https://localhost.:PORT" "https://loopback.test.:PORT";
    "a name of this machine": "https://localhost:PORT" "https://LOCALHOST:PORT"
        "https://loopback.test:PORT" "https://loopback6.test:PORT" "https://unspecified.test:PORT";
    "a name of our own network": "https://private10.test:PORT" "https://private172.test:PORT"
        "https://private192.test:PORT" "https://cgnat.test:PORT" "https://mapped.test:PORT"
        "https://nat64.test:PORT";
    "a name of the machine's metadata": "https://metadata.test" "https://metadata6.test";
    "a name of everybody": "https://multicast.test:PORT";
    "a name of several addresses, one of them private": "https://mixed.test:PORT";
];

impl Attempt {
    /// The endpoint with a port in it.
    pub(crate) fn at(&self, port: u16) -> String {
        self.endpoint.replace("PORT", &port.to_string())
    }
}
