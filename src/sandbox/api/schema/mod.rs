//! Which fields a kind has and how its lists and maps merge. Pure.
