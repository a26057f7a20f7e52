//! Signatures, as Standard Webhooks has them: HMAC-SHA256 over the delivery's id, its time and its body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// How a secret begins where it is written.
const PREFIX: &str = "whsec_";

/// The fewest and the most bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What deliveries are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret of a webhook, which is always the same for the same secret of the node.
    #[must_use]
    pub fn derived(node: &[u8; 32], webhook: &str) -> Self {
        Self(
            blake3::keyed_hash(node, webhook.as_bytes())
                .as_bytes()
                .to_vec(),
        )
    }

    /// A secret as it is written: `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a secret is `whsec_` and the base64 of 24 to 64 bytes".to_owned();
        let encoded = text.trim().strip_prefix(PREFIX).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(wrong()),
        }
    }

    /// As it is written, for the one who is to check signatures.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The signature of what was put together by [`signed`](actors::registry::webhooks::plan::signed).
    #[must_use]
    pub fn sign(&self, signed: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}
