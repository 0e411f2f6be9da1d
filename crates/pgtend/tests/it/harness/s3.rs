//! An S3 server with one bucket, which ends with the test that started it.

use super::servers::tool;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore, ObjectStoreExt};
use pgtend_store::repo::keys::Passphrase;
use pgtend_store::repo::storage::S3Options;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// The server.
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// Its one bucket.
    pub const BUCKET: &str = "history";

    /// Starts it and makes the bucket.
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(tool("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { child: command.spawn().unwrap(), port };
        let ends = Instant::now() + PATIENCE;
        let bucket = format!("{}/{}", server.endpoint(), Self::BUCKET);
        while !reqwest::Client::new().put(&bucket).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < ends, "the S3 server does not answer at {bucket}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port on which it answers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its bucket as a repository, reached this way, which gives up after a few seconds.
    pub fn repository(&self, endpoint: &str) -> S3Options {
        S3Options {
            endpoint: Some(endpoint.to_owned()),
            region: Some("us-east-1".into()),
            keys: Some(("AKIATEST".into(), Passphrase::from("a secret"))),
            timeout: Duration::from_secs(5),
            retry_for: Duration::from_secs(20),
            ..S3Options::new(&format!("s3://{}/pg", Self::BUCKET))
        }
    }

    /// Asks it something as an administrator would: moto believes everybody.
    pub async fn ask(&self, method: reqwest::Method, path: &str, header: (&str, &str)) -> reqwest::Response {
        let request = reqwest::Client::new().request(method, format!("{}/{path}", self.endpoint())).header(header.0, header.1);
        request.send().await.unwrap().error_for_status().unwrap()
    }

    fn bucket(&self) -> AmazonS3 {
        let keys = AmazonS3Builder::new().with_access_key_id("AKIATEST").with_secret_access_key("a secret");
        let place = keys.with_bucket_name(Self::BUCKET).with_endpoint(self.endpoint()).with_region("us-east-1");
        place.with_allow_http(true).build().unwrap()
    }

    /// The names of the objects in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        let listed: Vec<_> = self.bucket().list(None).try_collect().await.unwrap();
        listed.into_iter().map(|object| object.location.to_string()).collect()
    }

    /// The content of an object.
    pub async fn get(&self, key: &str) -> Vec<u8> {
        self.bucket().get(&key.into()).await.unwrap().bytes().await.unwrap().to_vec()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
