//! Whether the process that started this one is still there: it holds the other end of our
//! standard input and never writes to it, so that its end closes it, in whatever way it ends.

use std::io;
use std::os::fd::AsFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// The other end of standard input.
#[derive(Debug)]
pub(super) struct Parent(Option<Receiver>);

impl Parent {
    /// Begins to watch. Standard input that is no pipe is nobody's.
    pub(super) fn watch() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        match Receiver::from_owned_fd(input) {
            Ok(pipe) => Ok(Self(Some(pipe))),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    /// Whether there is somebody to watch.
    pub(super) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// Ends when the parent is gone; never without one.
    pub(super) async fn gone(&mut self) {
        let Some(pipe) = &mut self.0 else {
            return std::future::pending().await;
        };
        let mut told = [0_u8; 64];
        // What it might write means nothing; an error is as good as an end.
        while let Ok(1..) = pipe.read(&mut told).await {}
    }
}
