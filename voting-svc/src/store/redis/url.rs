//! Where Redis is.

use std::{fmt, str::FromStr};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// The address of Redis: `redis://user:password@host:port/database`, of which only the host has to be there;
/// `rediss://` with TLS; `redis+cluster://host:port,host:port` for a Redis Cluster, of which some nodes are named.
#[derive(Clone)]
pub struct RedisUrl {
    nodes: Vec<ConnectionInfo>,
    cluster: bool,
}

/// The text does not say where Redis is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected redis://user:password@host:port/database, or rediss:// for TLS, or redis+cluster://host:port,host:port \
     for a cluster"
)]
pub struct InvalidRedisUrl;

impl RedisUrl {
    /// Of the server, or of some of a cluster.
    pub(super) fn nodes(&self) -> &[ConnectionInfo] {
        &self.nodes
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.cluster
    }

    pub(super) fn is_encrypted(&self) -> bool {
        let encrypted =
            |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::TcpTls { .. });
        self.nodes.iter().any(encrypted)
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidRedisUrl)?;
        let (scheme, cluster) =
            scheme.strip_suffix("+cluster").map_or((scheme, false), |scheme| (scheme, true));
        // Only these: the library knows others, such as sockets of Unix.
        if !matches!(scheme, "redis" | "rediss") {
            return Err(InvalidRedisUrl);
        }
        let (hosts, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = match hosts.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), hosts),
        };
        let node = |host: &str| format!("{scheme}://{user}{host}{path}").into_connection_info();
        let nodes: Vec<_> =
            hosts.split(',').map(node).collect::<Result<_, _>>().map_err(|_| InvalidRedisUrl)?;
        let too_many = !cluster && nodes.len() > 1;
        // A cluster has one database.
        let database = cluster && nodes.iter().any(|node| node.redis_settings().db() != 0);
        if too_many || database || path.contains('#') {
            return Err(InvalidRedisUrl);
        }
        Ok(Self { nodes, cluster })
    }
}

/// Without the password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_encrypted() { "rediss" } else { "redis" })?;
        f.write_str(if self.cluster { "+cluster://" } else { "://" })?;
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { "," } else { "" }, node.addr())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_is_a_server_or_a_cluster() {
        for (text, shown, is_cluster) in [
            ("redis://redis", "redis://redis:6379", false),
            ("redis://:p%40ss@redis:1234/2", "redis://redis:1234", false),
            ("rediss://user:a,b@redis.example", "rediss://redis.example:6379", false),
            ("redis+cluster://:secret@a:1,b:2,c", "redis+cluster://a:1,b:2,c:6379", true),
            ("rediss+cluster://a", "rediss+cluster://a:6379", true),
        ] {
            let url: RedisUrl = text.parse().expect(text);
            assert_eq!(
                (format!("{url} {url:?}"), url.is_cluster()),
                (format!("{shown} {shown}"), is_cluster)
            );
        }
        let url: RedisUrl = "redis+cluster://user:p%40ss@a:1,b:2".parse().expect("a cluster");
        for node in url.nodes() {
            let settings = node.redis_settings();
            assert_eq!((settings.username(), settings.password()), (Some("user"), Some("p@ss")));
        }
        for text in [
            "",
            "redis",
            "redis://",
            "redis:///2",
            "redis://a:x",
            "redis://a:1,b:2",
            "redis://a/name",
            "redis+cluster://a:1,",
            "redis+cluster://a:1/2",
            "rediss://a#insecure",
            "valkey://a",
            "redis+unix:///run/redis.sock",
            "http://redis",
        ] {
            text.parse::<RedisUrl>().expect_err(text);
        }
    }
}
