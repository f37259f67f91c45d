//! The part of the SCIM filter grammar (RFC 7644 §3.4.2.2) that clients of groups use: comparisons with `eq`, joined by
//! `and`. A value is a JSON string.

/// One comparison: an attribute path equals a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Equals {
    /// The attribute path as it was written, in lower case.
    pub(super) path: String,
    /// The value.
    pub(super) value: String,
}

/// The comparisons of a filter, all of which must hold; `None` where it is anything else.
pub(super) fn parse(text: &str) -> Option<Vec<Equals>> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    loop {
        let (one, after) = comparison(rest)?;
        all.push(one);
        match after.trim() {
            "" => return Some(all),
            more => rest = more.strip_prefix("and ")?.trim_start(),
        }
    }
}

/// What a path like `members[value eq "x"]` selects: the attribute and the value.
pub(super) fn selected(path: &str) -> Option<(String, String)> {
    let (attribute, inner) = path.split_once('[')?;
    let (one, after) = comparison(inner)?;
    (after.trim() == "]" && one.path == "value").then_some((attribute.to_owned(), one.value))
}

/// One comparison at the beginning of a text, and what follows it. The path may have a filter in brackets.
fn comparison(text: &str) -> Option<(Equals, &str)> {
    let path_ends = match text.find('[') {
        Some(open) if !text.get(..open)?.contains(' ') => {
            let inner = text.get(open + 1..)?;
            let (_, after) = comparison(inner)?;
            after.strip_prefix(']')?;
            let closed = text.len() - after.len() + 1;
            closed + text.get(closed..)?.find(' ')?
        }
        _ => text.find(' ')?,
    };
    let (path, rest) = text.split_at_checked(path_ends)?;
    let rest = rest.trim_start().strip_prefix("eq ")?.trim_start();
    let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let value = strings.next()?.ok()?;
    let after = rest.get(strings.byte_offset()..)?;
    Some((Equals { path: path.to_lowercase(), value }, after))
}

#[cfg(test)]
mod tests {
    use super::{Equals, parse, selected};

    fn equals(path: &str, value: &str) -> Equals {
        Equals { path: path.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_filter_is_read_whole_or_not_at_all() {
        assert_eq!(parse(r#"userName eq "a@x""#), Some(vec![equals("username", "a@x")]));
        assert_eq!(
            parse(r#"id eq "g\"1" and members eq "u\\ and id eq""#),
            Some(vec![equals("id", "g\"1"), equals("members", "u\\ and id eq")])
        );
        assert_eq!(
            parse(r#"emails[type eq "work"].value eq "a@x""#),
            Some(vec![equals(r#"emails[type eq "work"].value"#, "a@x")])
        );
        for wrong in ["", "userName", "userName eq a", r#"a eq "b" or c eq "d""#, r#"a eq "b"c"#, r#"a co "b""#] {
            assert_eq!(parse(wrong), None, "`{wrong}` is not a filter of this server");
        }
    }

    #[test]
    fn a_path_selects_one_value() {
        assert_eq!(selected(r#"members[value eq "u]\"1"]"#), Some(("members".to_owned(), "u]\"1".to_owned())));
        for wrong in ["members", r#"members[display eq "x"]"#, r#"members[value eq "x"].value"#, "members[value pr]"] {
            assert_eq!(selected(wrong), None, "`{wrong}` selects nothing");
        }
    }
}
