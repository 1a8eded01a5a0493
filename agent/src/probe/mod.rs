//! Hook table and decoder of each probe family.
