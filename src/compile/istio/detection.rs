//! How loss is noticed, as a DestinationRule says it. What comes in: the intent's passive detection. What goes out: which
//! answers count against a host, and how many. May not know: who asked.

use super::intent::Manner;
use crate::model::failover::OutlierDetection;
use crate::resource::istio::destination_rule;

/// Fewest gateway errors in a row after which a gateway is left. One bad answer comes from one Pod; several in a row,
/// from whichever Pods the connections ended at, come from the cluster.
const IN_A_ROW: u32 = 3;

/// Share of the hosts in percent below which Envoy no longer looks at who is ejected. At one percent that is when nobody is
/// left: then all are tried, where Istio's 0 would refuse every request although some host may be well. A cluster with one
/// gateway is ejected by three slow handshakes, and an overloaded caller makes many.
pub const NOBODY_LEFT: u32 = 1;

/// The detection of a host whose endpoints are Pods of the callers' own cluster.
pub fn near(outlier: &OutlierDetection, manner: Manner) -> destination_rule::OutlierDetection {
    match manner {
        Manner::Verbatim => every_error(outlier),
        Manner::Advised => {
            destination_rule::OutlierDetection { min_health_percent: Some(NOBODY_LEFT), ..every_error(outlier) }
        }
    }
}

fn every_error(outlier: &OutlierDetection) -> destination_rule::OutlierDetection {
    destination_rule::OutlierDetection {
        base_ejection_time: outlier.base_ejection_time.into(),
        consecutive_5xx_errors: outlier.consecutive_5xx,
        consecutive_gateway_errors: None,
        interval: outlier.interval.into(),
        max_ejection_percent: u32::from(outlier.max_ejection_percent),
        min_health_percent: None,
    }
}

/// The detection of a host whose one endpoint stands for a whole cluster: 502, 503, 504 and lost connections count (Envoy's
/// `consecutive_gateway_failure`), an application's own 500 does not. 5xx must be off: Istio's default of 5 would count it.
pub fn far(outlier: &OutlierDetection, manner: Manner) -> destination_rule::OutlierDetection {
    match manner {
        Manner::Verbatim => every_error(outlier),
        Manner::Advised => destination_rule::OutlierDetection {
            consecutive_5xx_errors: 0,
            consecutive_gateway_errors: Some(outlier.consecutive_5xx.max(IN_A_ROW)),
            ..near(outlier, manner)
        },
    }
}
