//! Connections: how they are accepted ([`accept()`]), how they are made ([`tls`]), and what one may cost ([`limits`]).

mod accept;
mod first_bytes;
pub mod limits;
pub mod tls;

pub use accept::accept;
pub use first_bytes::FirstBytes;
