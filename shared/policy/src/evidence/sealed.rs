//! Free text that evidence vouches for and does not contain, so that it can be erased while the chain still verifies.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rota::hex;

/// A text with the random bytes that its digest is salted with. Without them a short text would be found by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The text.
    pub text: String,
    /// The random bytes, in hexadecimal digits.
    pub salt: String,
}

impl Sealed {
    /// Seals a text with 32 bytes that nobody can guess.
    #[must_use]
    pub fn new(text: &str, salt: [u8; 32]) -> Self {
        Self { text: text.to_owned(), salt: hex(&salt) }
    }

    /// What a record says of it: `SHA-256(random bytes ‖ text)`, in hexadecimal digits. The random bytes enter as they
    /// are, not as digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(bytes(&self.salt));
        digest.update(self.text.as_bytes());
        hex(&digest.finalize())
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).filter_map(|d| d.try_into().ok()).collect();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_a_text_is_vouched_for_by_its_salted_digest() {
        let salt = std::array::from_fn(|place| u8::try_from(place * 8 % 256).unwrap_or_default());
        let sealed = Sealed::new("laptop stolen", salt);
        let expected = Sha256::digest([&salt[..], b"laptop stolen"].concat());
        assert_eq!(sealed.digest(), hex(&expected), "R19: SHA-256 over the random bytes and the text");
        assert_ne!(sealed.digest(), Sealed::new("laptop stolen", [7; 32]).digest(), "R19: the same text, other bytes");
        assert!(!sealed.digest().contains(&sealed.salt));
    }
}
