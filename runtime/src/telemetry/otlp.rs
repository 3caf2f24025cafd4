//! Export of spans and logs by OTLP.

mod settings;
