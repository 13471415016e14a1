//! What a case is: what lies in staging, what is sent, where it must end, and what must be said.

use recording::{ParkReason, RefusalReason};
use serde_json::{Map, Value};

use super::event::Event;

/// The routing key of the recorder's events.
pub(crate) const COMPLETED: &str = "recording.completed.v1";

/// What a path in staging holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lying {
    /// A plain file with these bytes.
    File(Vec<u8>),
    /// A plain file that its owner may not read.
    Unreadable(Vec<u8>),
    /// A symbolic link with this target.
    Link(String),
    /// One more name of the file at this path.
    HardLink(String),
    /// A pipe.
    Fifo,
    /// A socket.
    Socket,
    /// An empty folder.
    Folder,
    /// The device `/dev/null`.
    Device,
    /// Nothing, or nothing yet.
    Nothing,
}

/// A message as it is put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its routing key.
    pub(crate) key: &'static str,
    /// Its bytes.
    pub(crate) body: Vec<u8>,
    /// Its properties, as the broker's management API names them.
    pub(crate) properties: Map<String, Value>,
}

impl Message {
    /// A message as the recorder sends it.
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        let usual = [
            ("content_type", Value::from("application/cloudevents+json")),
            ("delivery_mode", Value::from(2)),
        ];
        Self {
            key: COMPLETED,
            body: body.into(),
            properties: usual.map(|(k, v)| (k.to_owned(), v)).into_iter().collect(),
        }
    }

    /// Sets a property.
    pub(crate) fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }
}

/// Where a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In quarantine.
    Quarantine(RefusalReason),
    /// The recording is parked.
    Parked(ParkReason),
    /// The recording is stored, and its original released.
    Stored,
    /// Stored, while the release of its original is refused.
    Kept(ParkReason),
    /// Settled with nothing but a counter: `role`, `outcome`.
    Counted(&'static str, &'static str),
    /// Refused by the command line, exit code 2.
    Configuration,
}

/// What somebody does about it later, and where it ends then.
#[derive(Clone, Debug)]
pub(crate) struct Later {
    /// What is done, for the book.
    pub(crate) done: &'static str,
    /// Where it ends then.
    pub(crate) end: End,
}

/// One concrete input.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The row of the catalogue.
    pub(crate) row: &'static str,
    /// The input, in words.
    pub(crate) what: String,
    /// The account whose recording it is about.
    pub(crate) account: String,
    /// The recording that it is about.
    pub(crate) id: String,
    /// What is put into staging for it. The first entry is the original.
    pub(crate) staged: Vec<(String, Lying)>,
    /// What is sent for it.
    pub(crate) sent: Vec<Message>,
    /// 0: before any worker runs; 1: to a running fleet; 2: once the first wave has ended.
    pub(crate) wave: u8,
    /// Where it ends.
    pub(crate) end: End,
    /// What the operator must be told: names the field, or what was seen.
    pub(crate) says: String,
    /// What becomes of it later.
    pub(crate) later: Option<Later>,
    /// The media type its copy must have, where that is what the case is about.
    pub(crate) media_type: Option<&'static str>,
    /// The arguments, for a case on the command line.
    pub(crate) args: Vec<String>,
}

impl Case {
    /// The bytes of the usual original of a recording.
    pub(crate) fn bytes(id: &str) -> Vec<u8> {
        format!("the original of {id}").into_bytes()
    }

    /// A case with the usual original and nothing sent yet.
    pub(crate) fn new(row: &'static str, what: &str, id: &str, end: End) -> Self {
        Self {
            row,
            what: what.to_owned(),
            account: "acme".to_owned(),
            id: id.to_owned(),
            staged: vec![(format!("acme/bad/{id}.wav"), Lying::File(Self::bytes(id)))],
            sent: Vec::new(),
            wave: 1,
            end,
            says: String::new(),
            later: None,
            media_type: None,
            args: Vec::new(),
        }
    }

    /// The good event of this case.
    pub(crate) fn event(&self) -> Event {
        let size = match self.staged.first() {
            Some((_, Lying::File(bytes) | Lying::Unreadable(bytes))) => bytes.len(),
            Some(_) | None => 13,
        };
        let mut event = Event::of(&self.account, &self.id, size);
        if let Some((path, _)) = self.staged.first() {
            event.set("/data/original/path", path.clone());
        }
        event
    }

    /// Sends the good event, spoilt.
    pub(crate) fn spoilt(mut self, spoil: impl FnOnce(&mut Event)) -> Self {
        let mut event = self.event();
        spoil(&mut event);
        self.sent.push(Message::new(event.text()));
        self
    }

    /// Sends the good event as it is.
    pub(crate) fn good(self) -> Self {
        self.spoilt(|_| ())
    }

    /// Sends these bytes, made from the good event's text.
    pub(crate) fn bytes_of(mut self, make: impl FnOnce(String) -> Vec<u8>) -> Self {
        let text = self.event().text();
        self.sent.push(Message::new(make(text)));
        self
    }

    /// Sends the good event with other properties.
    pub(crate) fn properties(mut self, change: impl FnOnce(Message) -> Message) -> Self {
        let text = self.event().text();
        self.sent.push(change(Message::new(text)));
        self
    }

    /// What the operator must be told.
    pub(crate) fn says(mut self, says: &str) -> Self {
        says.clone_into(&mut self.says);
        self
    }

    /// What is in staging instead of the usual original; the first is the original.
    pub(crate) fn lying(mut self, staged: Vec<(String, Lying)>) -> Self {
        self.staged = staged;
        self
    }

    /// The account whose recording it is, with its original below that account's folder.
    pub(crate) fn of(mut self, account: &str) -> Self {
        account.clone_into(&mut self.account);
        let path = format!("{account}/bad/{}.wav", self.id);
        self.staged = vec![(path, Lying::File(Self::bytes(&self.id)))];
        self
    }

    /// What becomes of it later.
    pub(crate) fn later(mut self, done: &'static str, end: End) -> Self {
        self.later = Some(Later { done, end });
        self
    }

    /// When it is sent.
    pub(crate) fn wave(mut self, wave: u8) -> Self {
        self.wave = wave;
        self
    }

    /// Where it ends for good.
    pub(crate) fn last(&self) -> End {
        self.later.as_ref().map_or(self.end, |later| later.end)
    }

    /// The path of its original, as announced by the good event.
    pub(crate) fn path(&self) -> &str {
        self.staged.first().map_or("", |(path, _)| path)
    }
}

/// A row of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its number.
    pub(crate) number: &'static str,
    /// What the catalogue calls it.
    pub(crate) input: &'static str,
    /// Its cases, in order.
    pub(crate) cases: Vec<Case>,
}

/// Collects a row's cases and numbers their recordings.
pub(crate) struct Cases {
    row: &'static str,
    list: Vec<Case>,
}

impl Cases {
    /// Nothing yet.
    pub(crate) fn of(row: &'static str) -> Self {
        let list = Vec::new();
        Self { row, list }
    }

    fn next(&self) -> String {
        format!("{}-{}", self.row.to_ascii_lowercase(), self.list.len() + 1)
    }

    /// Adds a case that `make` completes.
    pub(crate) fn add(&mut self, what: &str, end: End, make: impl FnOnce(Case) -> Case) {
        let case = Case::new(self.row, what, &self.next(), end);
        self.list.push(make(case));
    }

    /// Adds a case about a recording with an id of its own.
    pub(crate) fn named(
        &mut self,
        id: &str,
        what: &str,
        end: End,
        make: impl FnOnce(Case) -> Case,
    ) {
        let case = Case::new(self.row, what, id, end);
        self.list.push(make(case));
    }

    /// Adds an event that is refused, spoilt.
    pub(crate) fn refused(
        &mut self,
        what: &str,
        reason: RefusalReason,
        says: &str,
        spoil: impl FnOnce(&mut Event),
    ) {
        self.add(what, End::Quarantine(reason), |case| {
            case.spoilt(spoil).says(says)
        });
    }

    /// Adds bytes that are refused, made from the good event's text.
    pub(crate) fn bytes(
        &mut self,
        what: &str,
        reason: RefusalReason,
        says: &str,
        make: impl FnOnce(String) -> Vec<u8>,
    ) {
        self.add(what, End::Quarantine(reason), |case| {
            case.bytes_of(make).says(says)
        });
    }

    /// Adds something odd that is stored all the same.
    pub(crate) fn stored(&mut self, what: &str, spoil: impl FnOnce(&mut Event)) {
        self.add(what, End::Stored, |case| case.spoilt(spoil));
    }

    /// The row.
    pub(crate) fn row(self, input: &'static str) -> Row {
        Row {
            number: self.row,
            input,
            cases: self.list,
        }
    }
}
