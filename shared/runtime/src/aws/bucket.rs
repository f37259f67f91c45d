//! A bucket of S3 to which objects are added. That is one kind of request: it is signed here and sent by the HTTP client
//! that is there anyway, where the SDK's client for S3 would be larger than all of a function.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_sqs::config::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dutykey_engine::ports::clock::Clock;
use sha2::{Digest as _, Sha256};

use super::{Aws, OPERATION};

/// What S3 answers where an object is there already (`If-None-Match: *`).
const THERE_ALREADY: u16 = 412;

/// A bucket cannot be used, or did not take an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bucket `{bucket}`: {problem}")]
pub struct BucketError {
    bucket: String,
    problem: String,
}

/// The power to add objects to a bucket, and none to read, replace or remove them.
#[derive(Clone)]
pub struct Bucket {
    name: String,
    /// Where its objects are, without the slash before their keys.
    address: String,
    region: String,
    config: SdkConfig,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Aws {
    /// A bucket by its name, at the endpoint that `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names, if one does.
    ///
    /// # Errors
    /// No region is set, or the HTTP client cannot be made.
    pub fn bucket(
        &self,
        name: &str,
        lookup: impl Fn(&str) -> Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Bucket, BucketError> {
        let failed = |problem: String| BucketError { bucket: name.to_owned(), problem };
        let Self(config) = self;
        let region = config.region().map(ToString::to_string).ok_or_else(|| failed("no region is set".to_owned()))?;
        let endpoint = lookup("AWS_ENDPOINT_URL_S3").filter(|url| !url.is_empty());
        let address = match endpoint.as_deref().or(config.endpoint_url()) {
            Some(url) => format!("{}/{name}", url.trim_end_matches('/')),
            None => format!("https://{name}.s3.{region}.{}", domain(&region)),
        };
        let client = reqwest::Client::builder().timeout(OPERATION).redirect(reqwest::redirect::Policy::none());
        let http = client.build().map_err(|error| failed(error.to_string()))?;
        Ok(Bucket { name: name.to_owned(), address, region, config: config.clone(), http, clock })
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

impl Bucket {
    /// Adds an object. One that is there already stays as it is, and that is no error.
    ///
    /// # Errors
    /// The bucket did not take it; nobody tries again here.
    pub async fn add(&self, key: &str, body: Vec<u8>) -> Result<(), BucketError> {
        let failed = |problem: String| BucketError { bucket: self.name.clone(), problem: format!("{key}: {problem}") };
        let url = format!("{}/{}", self.address, encoded(key));
        let checksum = STANDARD.encode(Sha256::digest(&body));
        let headers = [("if-none-match", "*"), ("x-amz-checksum-sha256", checksum.as_str())];
        let signature = self.signature(&url, &headers, &body).await.map_err(failed)?;
        let mut request = self.http.put(&url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signature {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        let status = answer.status();
        if status.is_success() || status.as_u16() == THERE_ALREADY {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(failed(format!("answered {} {}", status.as_u16(), code(&text))))
    }

    /// The headers by which S3 knows who asks.
    async fn signature(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, String> {
        let provider = self.config.credentials_provider().ok_or_else(|| "there are no credentials".to_owned())?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| format!("there are no credentials: {error}"))?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        // S3 takes paths as they are, where other services decode and normalise them first.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(self.clock.now()))
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?;
        let params = SigningParams::from(params);
        let request = SignableRequest::new("PUT", url, headers.iter().copied(), SignableBody::Bytes(body));
        let signed = sign(request.map_err(|error| error.to_string())?, &params).map_err(|error| error.to_string())?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// A key as the path of an address: everything is encoded that is not unreserved (RFC 3986), but for the slashes.
fn encoded(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

/// The word that S3 has for an error.
fn code(answer: &str) -> &str {
    let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map_or("without a code", |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_the_path_that_s3_signs() {
        assert_eq!(encoded("evidence/rotation/pd%3AP1/7.jsonl"), "evidence/rotation/pd%253AP1/7.jsonl");
        assert_eq!(encoded("a b+ü"), "a%20b%2B%C3%BC");
    }

    #[test]
    fn an_error_of_s3_is_named_by_its_code() {
        assert_eq!(code("<?xml?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"), "AccessDenied");
        assert_eq!(code("<html>"), "without a code");
    }
}
