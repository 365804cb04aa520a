//! Hashes: proofs, signing keys, sealing keys.

use md5::{Digest as _, Md5};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    fn signing_salt(self) -> &'static [u8] {
        match self {
            Self::ClientToServer => b"Digest session key to client-to-server signing key magic constant",
            Self::ServerToClient => b"Digest session key to server-to-client signing key magic constant",
        }
    }

    fn sealing_salt(self) -> &'static [u8] {
        match self {
            Self::ClientToServer => b"Digest H(A1) to client-to-server sealing key magic constant",
            Self::ServerToClient => b"Digest H(A1) to server-to-client sealing key magic constant",
        }
    }
}

/// A key or hash of MD5's size.
pub(super) type Key = [u8; 16];

/// H(A1) of `md5-sess`, from which everything else follows.
pub(super) struct Keys(Key);

impl Keys {
    pub(super) fn derive(username: &str, realm: &str, password: &str, nonce: &str, cnonce: &str) -> Self {
        let secret = md5(&[
            username.as_bytes(),
            b":",
            realm.as_bytes(),
            b":",
            password.as_bytes(),
        ]);
        Self(md5(&[&secret, b":", nonce.as_bytes(), b":", cnonce.as_bytes()]))
    }

    /// `H(hex(H(A1)):fields…:hex(H(request)))` in hexadecimal.
    pub(super) fn proof(&self, fields: &[&str], request: &str) -> String {
        let request = hex(&md5(&[request.as_bytes()]));
        let text = format!("{}:{}:{request}", hex(&self.0), fields.join(":"));
        hex(&md5(&[text.as_bytes()]))
    }

    pub(super) fn signing(&self, direction: Direction) -> Key {
        md5(&[&self.0, direction.signing_salt()])
    }

    pub(super) fn sealing(&self, direction: Direction) -> Key {
        md5(&[&self.0, direction.sealing_salt()])
    }
}

fn md5(parts: &[&[u8]]) -> Key {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
