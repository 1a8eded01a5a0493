//! Exchanges to RED metrics and spans, under declared caps.
