//! How long ago something was, as `kubectl` says it: `42s`, `3m7s`, `2d3h`. Pure.

use jiff::Timestamp;
use serde_json::Value;

/// The age of a time.
pub(super) fn human(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".into(),
        () if seconds < 0 => "0s".into(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => pair(hours / 24, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => pair(hours / 24 / 365, "y", (hours / 24) % 365, "d"),
        () => format!("{}y", hours / 24 / 365),
    }
}

/// The age of the time in a field, or `<unknown>`.
pub(super) fn of(object: &Value, pointer: &str, now: Timestamp) -> String {
    let then = object.pointer(pointer).and_then(Value::as_str).and_then(|text| text.parse().ok());
    then.map_or_else(|| "<unknown>".into(), |then| human(now, then))
}
