//! Objects → effective routing
//! May not know:  what the proxies of a cluster would do. What comes in: a world. What goes out: routes, levels, detection, retries.:the intent; clients.
