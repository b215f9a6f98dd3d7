//! A pseudo-terminal: what a command takes for a person's terminal.
//!
//! In: bytes and sizes of a client. Out: what the command writes. May not know: the command.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// Our end of a terminal. (The runtime knows no terminals, but reads and writes one as it does a pipe.)
pub struct Terminal {
    from: Receiver,
    to: Sender,
}

impl Terminal {
    /// Opens a terminal: our end, and the command's.
    pub fn open() -> io::Result<(Terminal, OwnedFd)> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let name = rustix::pty::ptsname(&ours, Vec::new())?;
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = rustix::fs::fcntl_getfl(&ours)?;
        rustix::fs::fcntl_setfl(&ours, flags | OFlags::NONBLOCK)?;
        let to = Sender::from_owned_fd_unchecked(ours.try_clone()?)?;
        Ok((Terminal { from: Receiver::from_owned_fd_unchecked(ours)?, to }, theirs))
    }

    /// Reads what the command has written; an error once nobody holds the other end. Cancel-safe.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer).await
    }

    /// Writes everything, as if it were typed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes).await
    }

    /// Tells the command how large the client's terminal is.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.from, size).map_err(io::Error::from)
    }
}
