//! The gRPC service that counts votes
