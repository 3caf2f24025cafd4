//! Servers of Redis.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use emojivoto_e2e::{free_ports, tool};
use emojivoto_testkit::eventually;
use redis::{Client, Cmd, FromRedisValue, RedisResult};
use tempfile::TempDir;

/// A running server, whose data are in a folder of its own. It ends with the test.
pub(crate) struct Redis {
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
    child: Child,
}

impl Redis {
    /// One that keeps on disk what it has acknowledged, and with these arguments besides.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let [port] = free_ports();
        let directory = tempfile::tempdir().expect("a folder");
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = run(port, &arguments, &directory);
        let redis = Self { port, arguments, directory, child };
        redis.answers().await;
        redis
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn url(&self) -> String {
        let password =
            self.password().map(|password| format!(":{}@", password.replace('@', "%40")));
        format!("redis://{}{}", password.unwrap_or_default(), self.address())
    }

    fn password(&self) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == "--requirepass")?;
        Some(&self.arguments[at + 1])
    }

    /// By SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    /// Starts it again after its end, with the data that it left.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.port, &self.arguments, &self.directory);
    }

    /// Stops it, and lets it go on: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()), "SIG{name} cannot be sent");
    }

    pub(crate) async fn answers(&self) {
        let what = format!("an answer of Redis on port {}", self.port);
        eventually(&what, async || self.ask::<String>(&redis::cmd("PING")).await.ok()).await;
    }

    /// What it answers to a command.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let client = Client::open(self.url())?;
        command.query_async(&mut client.get_multiplexed_async_connection().await?).await
    }

    pub(crate) async fn set(&self, name: &str, value: &str) {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg(name).arg(value);
        self.ask::<()>(&command).await.expect("a setting");
    }

    pub(crate) async fn empty(&self) {
        self.ask::<()>(&redis::cmd("FLUSHALL")).await.expect("it is emptied");
    }
}

fn run(port: u16, arguments: &[String], directory: &TempDir) -> Child {
    let mut command = Command::new(tool("redis-server"));
    command.args(["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(directory.path()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("Redis starts")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be dead already
        let _ = self.child.wait();
    }
}

/// Three servers that share what there is.
pub(crate) struct Cluster([Redis; 3]);

impl Cluster {
    pub(crate) async fn start() -> Self {
        let node = async || {
            let [bus] = free_ports().map(|port| port.to_string());
            Redis::start(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await
        };
        let cluster = Self([node().await, node().await, node().await]);
        let cli = |arguments: &[&str]| {
            emojivoto_e2e::run(Command::new(tool("redis-cli")).args(arguments))
        };
        let nodes = cluster.0.each_ref().map(|node| node.address().to_string());
        let [a, b, c] = &nodes;
        cli(&["--cluster", "create", a, b, c, "--cluster-yes"]);
        for node in &cluster.0 {
            let mut info = redis::cmd("CLUSTER");
            info.arg("INFO");
            eventually("a cluster that works", async || {
                let info: String = node.ask(&info).await.ok()?;
                info.contains("cluster_state:ok").then_some(())
            })
            .await;
        }
        cluster
    }

    /// Two of them are enough to find the third.
    pub(crate) fn url(&self) -> String {
        let [a, b, _] = &self.0;
        format!("redis+cluster://{},{}", a.address(), b.address())
    }

    pub(crate) async fn empty(&self) {
        for node in &self.0 {
            node.empty().await;
        }
    }
}
