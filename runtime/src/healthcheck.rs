//! `<binary> healthcheck`: asks the `/ready` of the process beside it, for containers without a shell.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::ExitCode,
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Prints what the process says of itself; the exit code is 0 when it is ready, 1 otherwise.
pub(crate) fn run(prom_port: u16) -> ExitCode {
    match ask(prom_port) {
        Ok(answer) => {
            println!("{}", answer.lines().last().unwrap_or_default());
            if answer.starts_with("HTTP/1.1 200 ") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("no answer on port {prom_port} (PROM_PORT): {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(prom_port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, prom_port).into(), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
