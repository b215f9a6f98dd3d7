//! Gloo: FailoverScheme with Federation, or `Upstream.failover` without.
