//! The gRPC service that knows the ballot
