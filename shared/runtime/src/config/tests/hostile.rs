//! Files that are broken, huge or made to do harm: each is refused with a line, and none stops the program.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "line 1: the file is empty"),
        (b"\n# only a comment\n", "line 1: the file is empty"),
        (b"version: 1\nverified_domains: [\n", "line "),
        (b"version: 1\nversion: 1\n", "line 2: this is not YAML that can be used"),
        (b"version: 1\n---\nversion: 1\n", "line "),
        (b"version: 1\nname: \xff\n", "line 2: the file is not UTF-8 text"),
        (b"- a\n- b\n", "line 1: must be a mapping"),
        (b"just text", "line 1: must be a mapping"),
        (b"version: .nan\n", "line 1: "),
    ];
    for (bytes, expected) in cases {
        let found = parse(bytes, Path::new("")).expect_err("should be refused");
        let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(
            text.starts_with(expected),
            "{:?}: expected `{expected}`, found `{text}`",
            String::from_utf8_lossy(bytes)
        );
        assert!(found.iter().all(|problem| problem.message.len() < 1_000), "{text}");
    }
    let long = format!("{WHOLE}# {}\n", "x".repeat(MAX_BYTES));
    assert!(problems(&long)[0].contains("longer than 1 MiB"));
}

#[test]
fn anchors_are_followed_within_narrow_limits() {
    let shared = WHOLE
        .replace("[\"toy:any\"]", "&shared [\"toy:any\"]")
        .replace("    break_glass:", "    # an alias\n    break_glass:");
    sound(&shared);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let line = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{line}]\n"));
    }
    let found = problems(&bomb);
    assert!(found.len() == 1 && found[0].contains("not YAML that can be used"), "{}", found.join("\n"));
    let deep = format!("version: {}1{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(problems(&deep).len(), 1);
    let both = format!("version: {}1{}\n", "{a: [".repeat(5_000), "]}".repeat(5_000));
    assert_eq!(problems(&both).len(), 1, "no thread runs out of its stack");
    let many: String = (0..2_000).map(|n| format!("key{n}: 1\n")).collect();
    let found = problems(&many);
    assert!(found.len() <= 201 && found.last().is_some_and(|last| last.contains("more problems")), "{}", found.len());
}

#[test]
fn many_comments_in_a_row_are_fine() {
    sound(&WHOLE.replace("profiles:\n", &format!("profiles:\n{}", "# a line\n".repeat(200))));
}

#[test]
fn limits_are_those_that_the_contract_names() {
    let entitlement = |n: usize| format!("      - {{ app: toys, kind: role, id: r{n} }}\n");
    let more = |count: usize| (0..count).map(entitlement).collect::<String>();
    let at = "      - { app: toys, kind: role, name: operator }\n";
    sound(&WHOLE.replace(at, &more(198)));
    let found = problems(&WHOLE.replace(at, &more(199)));
    assert_eq!(found, ["line 46: profiles[0].entitlements: are 201; a profile can have at most 200"]);

    let profile = |n: usize| {
        format!(
            "  - id: p{n}\n    name: P\n    entitlements: [{{ app: toys, kind: role, id: viewer }}]\n    \
             break_glass: {{ groups: [g], max_duration: 1h }}\n"
        )
    };
    sound(&format!("{WHOLE}{}", (0..498).map(profile).collect::<String>()));
    let found = problems(&format!("{WHOLE}{}", (0..499).map(profile).collect::<String>()));
    assert_eq!(found, ["line 43: profiles: are 501; there can be at most 500"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_is_read_or_refused_with_a_line(text in "\\PC{0,200}") {
        let lines = text.lines().count() as u64 + 1;
        for problem in parse_text(&text).err().unwrap_or_default() {
            prop_assert!((1..=lines).contains(&problem.line), "{problem}");
        }
    }

    #[test]
    fn a_file_with_one_piece_changed_is_read_or_refused_with_a_line(
        from in 0..WHOLE.len(),
        length in 0..40_usize,
        piece in prop_oneof!["[\\[\\]{}:,&*!|>'\"%@` \n#-]{0,3}", "[a-z0-9]{0,6}", "\\PC{0,4}"],
    ) {
        let mut text = WHOLE.to_owned();
        text.replace_range(from..(from + length).min(WHOLE.len()), &piece);
        let lines = text.lines().count() as u64 + 1;
        match parse_text(&text) {
            Ok(document) => prop_assert!(document.pin(|named| Ok(named.key.clone())).is_ok()),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
            }
        }
    }

    #[test]
    fn durations_round_trip(seconds in 0..=400 * 86_400_u64) {
        let duration = Duration::from_secs(seconds);
        let text = dutykey_policy::time::format_duration(duration);
        prop_assert_eq!(dutykey_policy::time::parse_duration(&text), Ok(duration));
    }
}
