//! Lengths of time in whole milliseconds, written the way Go and Kubernetes write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A length of time in milliseconds. Text form: `1s`, `500ms`, `1m30s`, `2h`, `0.5s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Millis(pub u64);

impl Millis {
    /// From whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        Millis(seconds * 1000)
    }

    /// As the standard library's type, for the edges.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// Reads Go's duration syntax. Finer than a millisecond is an error, not rounded away.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration; write for example 500ms, 1s, 1m30s");
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Millis(0));
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut micros: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let scale: u128 = match unit {
                "us" | "µs" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                _ => return Err(wrong()),
            };
            micros += fixed(number, scale).ok_or_else(wrong)?;
            rest = tail;
        }
        if !micros.is_multiple_of(1000) {
            return Err(format!("`{text}` is finer than a millisecond"));
        }
        u64::try_from(micros / 1000).map(Millis).map_err(|_| wrong())
    }
}

/// `number` (decimal, at most one point) times `scale`, exact; nothing if it is no number or not whole.
fn fixed(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 15 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let power = 10u128.pow(fraction.len() as u32);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scaled = part * scale;
    scaled.is_multiple_of(power).then_some(whole * scale + scaled / power)
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let text = match ms {
            0 => "0s".to_string(),
            _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
            _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
            _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
            _ => format!("{ms}ms"),
        };
        f.pad(&text)
    }
}

impl TryFrom<String> for Millis {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Millis::parse(&text)
    }
}

impl From<Millis> for String {
    fn from(ms: Millis) -> String {
        ms.to_string()
    }
}
