//! How loss is noticed, as a DestinationRule says it. What comes in: the intent's passive detection. What goes out: which
//! answers count against a host, and how many. May not know: who asked.

use super::intent::Counted;
use crate::model::failover::OutlierDetection;
use crate::resource::istio::destination_rule;

/// Fewest gateway errors in a row after which a gateway is left. One bad answer comes from one Pod; several in a row,
/// from whichever Pods the connections ended at, come from the cluster.
const IN_A_ROW: u32 = 3;

/// The detection of a host whose endpoints are Pods, or what the documents say word for word.
pub fn every_error(outlier: &OutlierDetection) -> destination_rule::OutlierDetection {
    destination_rule::OutlierDetection {
        base_ejection_time: outlier.base_ejection_time.into(),
        consecutive_5xx_errors: outlier.consecutive_5xx,
        consecutive_gateway_errors: None,
        interval: outlier.interval.into(),
        max_ejection_percent: u32::from(outlier.max_ejection_percent),
    }
}

/// The detection of a host whose one endpoint stands for a whole cluster: 502, 503, 504 and lost connections count (Envoy's
/// `consecutive_gateway_failure`), an application's own 500 does not. 5xx must be off: Istio's default of 5 would count it.
pub fn gateway_errors(outlier: &OutlierDetection) -> destination_rule::OutlierDetection {
    destination_rule::OutlierDetection {
        consecutive_5xx_errors: 0,
        consecutive_gateway_errors: Some(outlier.consecutive_5xx.max(IN_A_ROW)),
        ..every_error(outlier)
    }
}

/// The detection of a Service's host in another cluster.
pub fn far(outlier: &OutlierDetection, counted: Counted) -> destination_rule::OutlierDetection {
    match counted {
        Counted::EveryError => every_error(outlier),
        Counted::GatewayErrors => gateway_errors(outlier),
    }
}
