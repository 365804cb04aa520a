//! Signing and sealing of messages after authentication.
//!
//! A wrapped message is `body ‖ 0x0001 ‖ sequence number`. With `auth-int` the body is the message and ten bytes of
//! HMAC-MD5 over number and message; with `auth-conf` message, padding and the same ten bytes are encrypted in one
//! CBC stream per direction that runs on across messages. Numbers start at 0 in each direction.

use super::keys::{Direction, Key, Keys};
use super::same;
use crate::sasl::Qop;
use cipher::inout::InOutBuf;
use cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use des::TdesEde2;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

/// The only cipher: triple DES with two keys, which every JDK offers.
pub(super) const CIPHER: &str = "3des";

const MAC: usize = 10;
const BLOCK: usize = 8;
/// Message type and sequence number.
const TRAILER: usize = 6;
const MESSAGE_TYPE: [u8; 2] = [0, 1];

/// A wrapped message that is not what the other side sent, in the order it sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Shorter than any wrapped message, or not a whole number of blocks.
    #[error("a wrapped message of {0} bytes cannot be")]
    Length(usize),
    /// Not the message type of DIGEST-MD5.
    #[error("a wrapped message has the wrong type")]
    Type,
    /// A message was lost, repeated or reordered.
    #[error("a wrapped message has number {found}, expected {expected}")]
    Sequence {
        /// In the message.
        found: u32,
        /// The next in order.
        expected: u32,
    },
    /// The signature is not that of the message.
    #[error("the signature of a wrapped message is wrong")]
    Signature,
}

/// Protection of one connection, both directions. After an error it must not be used any more.
pub struct SecurityLayer {
    send: Half,
    receive: Half,
    seal: Option<Sealing>,
}

/// One direction: its signing key and its next number.
struct Half {
    key: Key,
    sequence: u32,
}

struct Sealing {
    encrypt: cbc::Encryptor<TdesEde2>,
    decrypt: cbc::Decryptor<TdesEde2>,
}

impl std::fmt::Debug for SecurityLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecurityLayer")
            .field("sealed", &self.seal.is_some())
            .field("sent", &self.send.sequence)
            .field("received", &self.receive.sequence)
            .finish()
    }
}

impl SecurityLayer {
    /// The layer of the side that sends in direction `ours`; none with [`Qop::Auth`].
    pub(super) fn new(keys: &Keys, qop: Qop, ours: Direction) -> Option<Self> {
        let half = |direction| Half {
            key: keys.signing(direction),
            sequence: 0,
        };
        let seal = match qop {
            Qop::Auth => return None,
            Qop::AuthInt => None,
            Qop::AuthConf => Some(Sealing::new(keys, ours)),
        };
        Some(Self {
            send: half(ours),
            receive: half(ours.reversed()),
            seal,
        })
    }

    /// Protects the next message to the other side.
    pub fn wrap(&mut self, message: &[u8]) -> Vec<u8> {
        let sequence = self.send.next().to_be_bytes();
        let mac = self.send.mac(sequence, message);
        let mut out = Vec::with_capacity(message.len() + BLOCK + MAC + TRAILER);
        out.extend_from_slice(message);
        if let Some(seal) = &mut self.seal {
            // One to eight bytes, each saying how many.
            let padding = BLOCK - (message.len() + MAC) % BLOCK;
            out.extend(std::iter::repeat_n(padding as u8, padding));
            out.extend_from_slice(&mac);
            seal.encrypt(&mut out);
        } else {
            out.extend_from_slice(&mac);
        }
        out.extend_from_slice(&MESSAGE_TYPE);
        out.extend_from_slice(&sequence);
        out
    }

    /// Checks the next message of the other side and gives its content.
    pub fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, UnwrapError> {
        let wrong_length = UnwrapError::Length(wrapped.len());
        let (body, trailer) = wrapped.split_last_chunk::<TRAILER>().ok_or(wrong_length)?;
        let [t0, t1, s0, s1, s2, s3] = *trailer;
        if [t0, t1] != MESSAGE_TYPE {
            return Err(UnwrapError::Type);
        }
        let sequence = [s0, s1, s2, s3];
        let mut message = body.to_vec();
        let mac = match &mut self.seal {
            Some(seal) => seal.open(&mut message).ok_or(wrong_length)?,
            None => split_mac(&mut message).ok_or(wrong_length)?,
        };
        let (found, expected) = (u32::from_be_bytes(sequence), self.receive.next());
        if found != expected {
            return Err(UnwrapError::Sequence { found, expected });
        }
        if !same(&mac, &self.receive.mac(sequence, &message)) {
            return Err(UnwrapError::Signature);
        }
        Ok(message)
    }
}

impl Half {
    fn next(&mut self) -> u32 {
        let number = self.sequence;
        self.sequence = number.wrapping_add(1);
        number
    }

    fn mac(&self, sequence: [u8; 4], message: &[u8]) -> [u8; MAC] {
        let mut hmac = Hmac::<Md5>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        hmac.update(&sequence);
        hmac.update(message);
        let full: Key = hmac.finalize().into_bytes().into();
        let mut mac = [0; MAC];
        mac.copy_from_slice(&full[..MAC]);
        mac
    }
}

impl Sealing {
    fn new(keys: &Keys, ours: Direction) -> Self {
        let (send, receive) = (keys.sealing(ours), keys.sealing(ours.reversed()));
        Self {
            encrypt: cbc::Encryptor::new(&triple_des_key(&send).into(), &initial_vector(&send).into()),
            decrypt: cbc::Decryptor::new(&triple_des_key(&receive).into(), &initial_vector(&receive).into()),
        }
    }

    fn encrypt(&mut self, blocks: &mut [u8]) {
        let (blocks, _) = InOutBuf::from(blocks).into_chunks();
        self.encrypt.encrypt_blocks_inout(blocks);
    }

    /// Decrypts in place, leaves the message there and returns its signature; nothing if the shape is impossible.
    fn open(&mut self, body: &mut Vec<u8>) -> Option<[u8; MAC]> {
        if !body.len().is_multiple_of(BLOCK) {
            return None;
        }
        let (blocks, _) = InOutBuf::from(body.as_mut_slice()).into_chunks();
        self.decrypt.decrypt_blocks_inout(blocks);
        let mac = split_mac(body)?;
        let padding = usize::from(*body.last()?);
        let length = body.len().checked_sub(padding)?;
        body.truncate(length);
        (1..=BLOCK).contains(&padding).then_some(mac)
    }
}

/// Takes the signature off the end.
fn split_mac(body: &mut Vec<u8>) -> Option<[u8; MAC]> {
    let (message, mac) = body.split_last_chunk::<MAC>()?;
    let (length, mac) = (message.len(), *mac);
    body.truncate(length);
    Some(mac)
}

/// Two DES keys from the first 14 bytes: seven bits go into each byte, the eighth is odd parity.
fn triple_des_key(seal: &Key) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&des_key(&seal[..7]));
    key[8..].copy_from_slice(&des_key(&seal[7..14]));
    key
}

fn des_key(seven: &[u8]) -> [u8; 8] {
    let bits = seven
        .iter()
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    std::array::from_fn(|i| {
        let septet = ((bits >> (49 - 7 * i)) & 0x7f) as u8;
        septet << 1 | u8::from(septet.count_ones().is_multiple_of(2))
    })
}

fn initial_vector(seal: &Key) -> [u8; BLOCK] {
    let mut iv = [0; BLOCK];
    iv.copy_from_slice(&seal[8..]);
    iv
}
