//! Connections: how they are accepted ([`accept()`]), how many there may be ([`open_files`]), how they are made ([`tls`]),
//! and what one may cost ([`limits`]).

mod accept;
pub mod limits;
pub mod open_files;
pub mod tls;

pub use accept::accept;
