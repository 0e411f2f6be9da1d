//! The real postgres_exporter on the same server.

use super::prometheus::Text;
use crate::harness::{Cluster, servers};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the exporter shows of a server with its default collectors.
pub async fn scrape(cluster: &Cluster) -> Text {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new(servers::tool("prometheus-postgres-exporter"));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("DATA_SOURCE_NAME", format!("postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable", cluster.port()));
    let _exporter = Running(command.spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}/metrics");
    let ends = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(answer) = reqwest::get(&url).await {
            return Text::parse(&answer.text().await.unwrap());
        }
        assert!(Instant::now() < ends, "postgres_exporter does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
