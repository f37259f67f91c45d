//! Tokens of an OpenID Connect issuer: signed JWTs (RFC 7519), verified here and nowhere else, so that a group is what the
//! token says and not what a gateway has made of it.

use std::collections::BTreeSet;

use dutykey_policy::installation::Oidc;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};

/// The longest token, in characters: a header that is longer does not pass API Gateway either.
const LONGEST: usize = 8_192;
/// At most this many groups in a token.
const MAX_GROUPS: usize = 1_000;
/// How far an issuer's clock may differ from ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// What an issuer may sign with. Neither `none` nor a shared secret is among them (RFC 8725 §3.1).
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token does not count. What it says of itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// It is signed in a way that nobody could rely on.
    #[error("the token is signed with an algorithm that is not taken")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the token is signed with a key that the issuer does not publish")]
    Key,
    /// The signature, the issuer or the audience is wrong, or something is missing.
    #[error("the token is not one that the issuer has made for this audience")]
    Refused,
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It has not begun.
    #[error("the token does not count yet")]
    Early,
}

/// What a token says of whoever calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    /// The address, where the token marks it verified.
    pub(crate) address: Option<String>,
    pub(crate) groups: BTreeSet<String>,
    /// When it was issued.
    pub(crate) issued_at: Option<Timestamp>,
}

/// A token that can be read, and is not verified yet.
pub(crate) struct Token<'a> {
    text: &'a str,
    header: Header,
}

impl<'a> Token<'a> {
    /// Reads a token's header.
    pub(crate) fn read(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > LONGEST {
            return Err(TokenError::Malformed);
        }
        // An algorithm that the library does not know, like `none`, is a header that it does not read.
        let header = jsonwebtoken::decode_header(text).map_err(|_| TokenError::Malformed)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        Ok(Self { text, header })
    }

    /// The key of the issuer that it names; without a name only the one that there is.
    pub(crate) fn key<'k>(&self, keys: &'k JwkSet) -> Option<&'k Jwk> {
        let signs = |key: &&Jwk| {
            !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
                && key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{:?}", self.header.alg))
        };
        let mut keys = keys.keys.iter().filter(signs);
        match &self.header.kid {
            Some(kid) => keys.find(|key| key.common.key_id.as_ref() == Some(kid)),
            None => keys.next().filter(|_| keys.next().is_none()),
        }
    }

    /// What it says, where the key has signed it for us and it counts now.
    pub(crate) fn verified(&self, key: &Jwk, oidc: &Oidc, now: Timestamp) -> Result<Claims, TokenError> {
        let key = DecodingKey::from_jwk(key).map_err(|_| TokenError::Key)?;
        let mut rules = Validation::new(self.header.alg);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.set_issuer(&[&oidc.issuer]);
        rules.set_audience(&[&oidc.audience]);
        // The library asks the machine's clock; ours may be another one.
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        let claims = jsonwebtoken::decode::<Map<String, Value>>(self.text, &key, &rules);
        let claims = claims.map_err(|_| TokenError::Refused)?.claims;
        let instant = |name: &str| claims.get(name).and_then(numeric_date);
        let expires = instant("exp").ok_or(TokenError::Refused)?;
        if now.duration_since(expires) >= LEEWAY {
            return Err(TokenError::Expired);
        }
        let ahead = |at: Timestamp| at.duration_since(now) > LEEWAY;
        let issued_at = instant("iat");
        if [instant("nbf"), issued_at].into_iter().flatten().any(ahead) {
            return Err(TokenError::Early);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            _ => false,
        };
        Ok(Claims {
            subject: text(&oidc.subject_claim).ok_or(TokenError::Refused)?.to_owned(),
            address: text(&oidc.email_claim).filter(|_| verified).map(str::to_owned),
            groups: groups(claims.get(&oidc.groups_claim)),
            issued_at,
        })
    }
}

/// Seconds since 1970, whole or not (RFC 7519 §2).
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_i64().or_else(|| value.as_f64().filter(|s| s.is_finite()).map(|s| s.floor() as i64))?;
    Timestamp::from_second(seconds).ok()
}

/// The groups of a claim: a list of texts, or one text, which is one group whatever is in it.
fn groups(claim: Option<&Value>) -> BTreeSet<String> {
    let texts = match claim {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    texts.iter().take(MAX_GROUPS).filter_map(Value::as_str).map(str::to_owned).collect()
}
