//! The archive of a layer on its way from the thread that decompresses it to the one that makes
//! files of it.

use crate::image::Compression;
use flate2::read::MultiGzDecoder;
use launcher::signals::check_not_asked_to_end;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// The size of a piece, in bytes.
const PIECE: usize = 1 << 16;

/// How many pieces may wait.
const WAITING: usize = 16;

/// The end for the thread that decompresses.
pub(super) struct Sender(SyncSender<io::Result<Vec<u8>>>);

/// The other end: the pieces, read as one stream.
pub(super) struct Pieces {
    receiver: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    position: usize,
}

/// Both ends.
pub(super) fn channel() -> (Sender, Pieces) {
    let (sender, receiver) = sync_channel(WAITING);
    (Sender(sender), Pieces { receiver, piece: Vec::new(), position: 0 })
}

impl Sender {
    /// Decompresses a file and sends what comes out, or why nothing more does.
    pub(super) fn send_all(self, blob: impl Read, compression: Compression) {
        if let Err(error) = self.send_pieces(blob, compression) {
            // That there is nobody any more who wants it: another error is on its way.
            let _ = self.0.send(Err(error));
        }
    }

    fn send_pieces(&self, blob: impl Read, compression: Compression) -> io::Result<()> {
        let mut content: Box<dyn Read + '_> = match compression {
            Compression::None => Box::new(blob),
            Compression::Gzip => {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(PIECE, blob)))
            }
            Compression::Zstd => Box::new(zstd::Decoder::new(blob)?),
        };
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            if content.by_ref().take(PIECE as u64).read_to_end(&mut piece)? == 0 {
                return Ok(());
            }
            if self.0.send(Ok(piece)).is_err() {
                return Ok(()); // the other thread has failed, and says so
            }
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            check_not_asked_to_end()?;
            let Ok(piece) = self.receiver.recv() else { return Ok(0) }; // there is no more
            self.piece = piece?;
            self.position = 0;
        }
        let mut rest = &self.piece[self.position..]; // the position is never beyond the end
        let length = rest.read(buffer)?;
        self.position += length;
        Ok(length)
    }
}
