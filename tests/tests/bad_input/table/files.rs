//! What is at the path: links, special files, nothing, and files that may not be read.

use recording::ParkReason::{NotAPlainFile, StillGrowing};

use super::paths::missing;
use super::standing::{ARRIVES, UNREADABLE};
use crate::bad_input::case::{Case, Cases, End, Lying, Row};

pub(super) fn rows() -> Vec<Row> {
    vec![links(), special(), absent(), unreadable()]
}

const LINK: &str = "a symbolic link is on the way or at the path";

fn at(case: &Case, what: Lying) -> Vec<(String, Lying)> {
    vec![(case.path().to_owned(), what)]
}

fn file(bytes: &str) -> Lying {
    Lying::File(bytes.as_bytes().to_vec())
}

fn links() -> Row {
    let mut b20 = Cases::of("B20");
    let odd = End::Parked(NotAPlainFile);
    let victim = "globex/bad/victim.wav";
    b20.add("a symbolic link to another account's file", odd, |case| {
        let mut lying = at(&case, Lying::Link("../../globex/bad/victim.wav".to_owned()));
        lying.push((victim.to_owned(), file("globex's own")));
        case.lying(lying).good().says(LINK)
    });
    b20.add("a symbolic link to the account's own file", odd, |case| {
        let mut lying = at(&case, Lying::Link("b20-target.wav".to_owned()));
        lying.push(("acme/bad/b20-target.wav".to_owned(), file("acme's own")));
        case.lying(lying).good().says(LINK)
    });
    b20.add("a symbolic link to the password file", odd, |case| {
        let lying = at(&case, Lying::Link("/etc/passwd".to_owned()));
        case.lying(lying).good().says(LINK)
    });
    b20.add("a symbolic link to nowhere", odd, |case| {
        let lying = at(&case, Lying::Link("nowhere.wav".to_owned()));
        case.lying(lying).good().says(LINK)
    });
    b20.add("a file behind a linked folder", odd, |case| {
        let path = "acme/b20-folder/victim.wav".to_owned();
        let link = Lying::Link("../globex/bad".to_owned());
        let case = case.lying(vec![("acme/b20-folder".to_owned(), link)]);
        let case = case.spoilt(|event| {
            event.set("/data/original/path", path);
        });
        case.says(LINK)
    });
    b20.add("an account's folder that is a link", odd, |case| {
        let mut case = case.of("linked");
        let path = "linked/victim.wav".to_owned();
        case.staged = vec![("linked".to_owned(), Lying::Link("globex/bad".to_owned()))];
        let case = case.spoilt(|event| {
            event.set("/data/original/path", path);
        });
        case.says("a component of the path is no folder")
    });
    b20.add("a hard link to another account's file", odd, |case| {
        let other = "globex/bad/linked-twice.wav".to_owned();
        let mut lying = vec![(other.clone(), file("globex's own, with two names"))];
        lying.extend(at(&case, Lying::HardLink(other)));
        let path = case.path().to_owned();
        let case = case.lying(lying).spoilt(|event| {
            event.set("/data/original/path", path);
        });
        case.says("the file has 2 names (hard links)")
    });
    b20.row("a symbolic link anywhere in the path; a second hard link")
}

fn special() -> Row {
    let mut b21 = Cases::of("B21");
    let odd = End::Parked(NotAPlainFile);
    for (what, lying, says) in [
        (
            "a folder",
            Lying::Folder,
            "a folder, FIFO, socket or device",
        ),
        ("a pipe", Lying::Fifo, "a folder, FIFO, socket or device"),
        (
            "a socket",
            Lying::Socket,
            "a socket or device is at the path",
        ),
        (
            "a device",
            Lying::Device,
            "a folder, FIFO, socket or device",
        ),
    ] {
        b21.add(what, odd, |case| {
            let lying = at(&case, lying);
            case.lying(lying).good().says(says)
        });
    }
    b21.add("a path below a file", odd, |case| {
        let case = case.spoilt(|event| {
            event.set("/data/original/path", "acme/bad/b21-5.wav/a.wav");
        });
        case.says("a component of the path is no folder")
    });
    b21.row("a folder, pipe, socket or device at the path")
}

fn absent() -> Row {
    let mut b22 = Cases::of("B22");
    let says = "no file at the path yet";
    let growing = End::Parked(StillGrowing);
    b22.add("no file, and none comes", growing, |case| {
        let case = case.later("nothing; an hour passes", missing());
        let lying = at(&case, Lying::Nothing);
        case.good().says(says).lying(lying)
    });
    b22.add("no folder either", growing, |case| {
        let case = case.later("nothing; an hour passes", missing());
        case.spoilt(|event| {
            event.set("/data/original/path", "acme/2026/none/at/all.wav");
        })
        .says(says)
    });
    b22.named(ARRIVES, "no file, and it comes late", growing, |case| {
        let case = case.later("the recorder writes the file", End::Stored);
        let lying = at(&case, Lying::Nothing);
        case.good().says(says).lying(lying)
    });
    b22.row("no such file")
}

fn unreadable() -> Row {
    let mut b23 = Cases::of("B23");
    let end = End::Parked(UNREADABLE);
    b23.add("a file that callferry's user may not read", end, |case| {
        let lying = at(&case, Lying::Unreadable(Case::bytes(&case.id)));
        case.lying(lying)
            .good()
            .says("the file cannot be reached: Permission denied")
    });
    b23.row("permission denied")
}
