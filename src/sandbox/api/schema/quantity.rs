//! Amounts as Kubernetes writes them: `1000m` is `1`, `1024Mi` is `1Gi`. Pure.
//!
//! The rules are those of `k8s.io/apimachinery/pkg/api/resource`: the mantissa loses its factors, the suffix stays of its
//! family, and a binary amount below 1024 is written in decimal.

/// Suffixes and their powers: of 1024, and of 10.
const BINARY: [(&str, u32); 6] = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// The canonical form; none for a text that is no amount, or one beyond what a number here can hold.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !(whole.to_string() + fraction).chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = -i32::try_from(fraction.len()).ok()?;
    if let Some((_, power)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return binary(mantissa.checked_mul(1024_i128.checked_pow(*power)?)?, scale);
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return decimal(mantissa, scale + power, |power| {
            DECIMAL.iter().find(|(_, p)| *p == power).map(|(s, _)| (*s).to_string())
        });
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    decimal(mantissa, scale + power, |power| Some(if power == 0 { String::new() } else { format!("e{power}") }))
}

/// `mantissa · 10^scale` in the family of Ki; fractions of a byte are rounded away from zero.
fn binary(mantissa: i128, scale: i32) -> Option<String> {
    let unit = 10_i128.checked_pow(scale.unsigned_abs())?;
    let small = mantissa.checked_abs()? < 1024_i128.checked_mul(unit)?;
    if small {
        return decimal(mantissa, scale, |power| {
            DECIMAL.iter().find(|(_, p)| *p == power).map(|(s, _)| (*s).to_string())
        });
    }
    let rest = mantissa % unit;
    let mut value = mantissa / unit + rest.signum();
    let mut power = 0;
    while value % 1024 == 0 && power < BINARY.len() {
        value /= 1024;
        power += 1;
    }
    let suffix = power.checked_sub(1).map_or("", |i| BINARY[i].0);
    Some(format!("{value}{suffix}"))
}

/// `mantissa · 10^power` with a power that is a multiple of three.
fn decimal(mut mantissa: i128, mut power: i32, suffix: impl Fn(i32) -> Option<String>) -> Option<String> {
    if mantissa == 0 {
        return Some("0".into());
    }
    // Nothing smaller than a nano is kept; the rest is rounded away from zero.
    while power < -9 {
        mantissa = mantissa / 10 + (mantissa % 10).signum();
        power += 1;
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        power += 1;
    }
    while power % 3 != 0 {
        mantissa = mantissa.checked_mul(10)?;
        power -= 1;
    }
    Some(format!("{mantissa}{}", suffix(power)?))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn amounts_are_written_as_kubernetes_writes_them() {
        for (given, written) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1", "1"),
            ("2", "2"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.1Ki", "102400m"),
            ("512", "512"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("123456k", "123456k"),
            ("1e3", "1e3"),
            ("10e2", "1e3"),
            ("100", "100"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-1000m", "-1"),
            ("1.0000000001", "1000000001n"),
            ("1025Ki", "1025Ki"),
            ("1024", "1024"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(written), "{given}");
        }
        for odd in ["", "Mi", "x", "1x", "."] {
            assert_eq!(canonical(odd), None, "{odd}");
        }
    }
}
