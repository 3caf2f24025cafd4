//! What every process shares: settings, logs, servers, the admin port, shutdown
