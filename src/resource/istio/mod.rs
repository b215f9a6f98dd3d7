//! Istio's resources, as far as failctl writes them (istio/api, `networking/v1`). What comes in: typed parts. What goes
//! out: specs. May not know: who asks for them.

pub mod authorization_policy;
pub mod destination_rule;
pub mod envoy_filter;
pub mod gateway;
pub mod remote_gateway;
pub mod service_entry;
pub mod virtual_service;
