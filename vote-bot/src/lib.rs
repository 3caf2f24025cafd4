//! Casts votes against web for ever, or until its TTL ends
