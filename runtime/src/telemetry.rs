//! Telemetry: what a process tells of itself to others.
#![cfg_attr(not(test), allow(dead_code, reason = "called by the rooms that come next"))]

mod otlp;
mod propagation;
