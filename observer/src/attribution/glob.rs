//! Patterns of the configuration: `*` is any run of characters, `?` any one. Nothing else is special, since names of
//! units and paths hold brackets, backslashes and dots.

pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_at = pattern;
    let mut text_at = text;
    // Where to go on when what follows the last `*` does not fit: one character further than before. Only the last
    // `*` matters, so the time is the product of the lengths at worst.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut next = pattern_at.chars();
        let mut chars = text_at.chars();
        match (next.next(), chars.next()) {
            (Some('*'), _) => {
                pattern_at = next.as_str();
                retry = Some((pattern_at, text_at));
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern_at = next.as_str();
                text_at = chars.as_str();
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after_star, from)) = retry else {
            return false;
        };
        let mut skipped = from.chars();
        if skipped.next().is_none() {
            return false;
        }
        pattern_at = after_star;
        text_at = skipped.as_str();
        retry = Some((after_star, text_at));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("csca", "csca", true);
        check("csca*", "csca-service", true);
        check("*-service", "csca-service", true);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b", "abab", true);
        check("*a*b", "aba", false);
        check("c?ca", "csca", true);
        check("c?ca", "cca", false);
        check("/system.slice/*.service", "/system.slice/a.service", true);
        check("ü*", "über", true);
    }

    proptest! {
        #[test]
        fn any_pattern(pattern in "[*?ab]{0,12}", text in "[ab]{0,12}") {
            // The definition, recursively.
            fn slow(p: &[u8], t: &[u8]) -> bool {
                match (p.first(), t.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => slow(&p[1..], t) || !t.is_empty() && slow(p, &t[1..]),
                    (Some(c), Some(d)) if *c == b'?' || c == d => slow(&p[1..], &t[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
