//! The core alone, event by event.
