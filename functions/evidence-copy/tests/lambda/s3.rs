//! S3 as far as evidence is copied: it takes new objects from whoever signs for them, and replaces none. Sources: the API
//! reference (*PutObject*) and the user guide (*Authenticating Requests*, *Signature calculation*).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dutykey_policy::rota::hex;
use dutykey_tests::aws::REGION;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// The only bucket.
pub(crate) const BUCKET: &str = "dutykey-evidence-1f0c";
/// The key of functions under the harness.
const SECRET: &str = "not-a-key";

/// The service. It ends with the test.
pub(crate) struct FakeS3 {
    address: SocketAddr,
    kept: Kept,
}

type Kept = Arc<Mutex<Objects>>;

#[derive(Default)]
struct Objects {
    objects: BTreeMap<String, String>,
    /// The status with which the next object of a key is refused.
    refused: BTreeMap<String, u16>,
}

impl FakeS3 {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, kept) = (listener.local_addr().unwrap(), Kept::default());
        let router = Router::new().fallback(call).with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, kept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What there is, by key.
    pub(crate) fn objects(&self) -> BTreeMap<String, String> {
        self.kept.lock().unwrap().objects.clone()
    }

    /// The next object with this key is refused.
    pub(crate) fn refuse(&self, key: &str, status: u16) {
        self.kept.lock().unwrap().refused.insert(key.to_owned(), status);
    }
}

async fn call(State(kept): State<Kept>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |status: u16, code: &str| {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, format!("<Error><Code>{code}</Code></Error>")).into_response()
    };
    if !signed(&method, &uri, &headers, &body) {
        return refused(403, "SignatureDoesNotMatch");
    }
    let path = unescaped(uri.path());
    let Some(key) = path.strip_prefix(&format!("/{BUCKET}/")) else { return refused(404, "NoSuchBucket") };
    if method != Method::PUT || header("if-none-match") != "*" {
        return refused(403, "AccessDenied");
    }
    if header("x-amz-checksum-sha256") != STANDARD.encode(Sha256::digest(&body)) {
        return refused(400, "BadDigest");
    }
    let mut kept = kept.lock().unwrap();
    if let Some(status) = kept.refused.remove(key) {
        return refused(status, "Refused");
    }
    if kept.objects.contains_key(key) {
        return refused(412, "PreconditionFailed");
    }
    kept.objects.insert(key.to_owned(), String::from_utf8(body.to_vec()).unwrap());
    "".into_response()
}

/// Whether the request is signed with the key, as the user guide calculates it. The path is taken as it was sent.
fn signed(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap_or_default();
        rest.split(',').next().unwrap_or_default()
    };
    let (names, date) = (part("SignedHeaders"), header("x-amz-date"));
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let digest = hex(&Sha256::digest(body));
    let request = format!("{method}\n{}\n{}\n{lines}\n{names}\n{digest}", uri.path(), uri.query().unwrap_or_default());
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let key = [day, REGION, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, word| mac(&key, word));
    let all = ["host", "if-none-match", "x-amz-checksum-sha256", "x-amz-content-sha256", "x-amz-security-token"];
    all.iter().all(|name| names.split(';').any(|signed| signed == *name))
        && header("x-amz-content-sha256") == digest
        && part("Signature") == hex(&mac(&key, &text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn unescaped(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((byte, left)) = rest.split_first() {
        rest = left;
        let escaped = (*byte == b'%').then(|| std::str::from_utf8(&left[..2]).unwrap());
        bytes.push(escaped.map_or(*byte, |digits| u8::from_str_radix(digits, 16).unwrap()));
        rest = if escaped.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8(bytes).unwrap()
}
