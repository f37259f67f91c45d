//! The rules of the house, kept by the workspace's own metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which of our crates each crate may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("dutykey-policy", &[]),
    ("dutykey-engine", &["dutykey-policy"]),
    ("dutykey-store", INWARD),
    ("dutykey-platforms", INWARD),
    ("dutykey-targets", INWARD),
    ("dutykey-runtime", INWARD),
    ("dutykey-embedded", &[]),
    ("rotation-sync", READS_PLATFORMS),
    ("webhook-ingest", READS_PLATFORMS),
    ("access-requests", HOLDS_NEITHER),
    ("handoff", HOLDS_NEITHER),
    ("provisioning", CALLS_APPS),
    ("revocation", CALLS_APPS),
    ("evidence-copy", HOLDS_NEITHER),
    ("dutykey", EVERYTHING),
    ("dutykey-tests", STANDS_IN),
    ("dutykey-fuzz", TAKES_FROM_OUTSIDE),
    ("dutykey-simulation", RUNS_EVERYTHING),
];
const INWARD: &[&str] = &["dutykey-engine", "dutykey-policy"];
/// Each duty has one function: only two of them know how to speak to platforms, and two others how to speak to apps.
const HOLDS_NEITHER: &[&str] = &["dutykey-engine", "dutykey-policy", "dutykey-runtime", "dutykey-store"];
const READS_PLATFORMS: &[&str] =
    &["dutykey-engine", "dutykey-platforms", "dutykey-policy", "dutykey-runtime", "dutykey-store"];
const CALLS_APPS: &[&str] =
    &["dutykey-engine", "dutykey-policy", "dutykey-runtime", "dutykey-store", "dutykey-targets"];
const EVERYTHING: &[&str] = &[
    "access-requests",
    "dutykey-embedded",
    "dutykey-engine",
    "dutykey-platforms",
    "dutykey-policy",
    "dutykey-runtime",
    "dutykey-store",
    "dutykey-targets",
    "handoff",
    "provisioning",
    "revocation",
    "rotation-sync",
    "webhook-ingest",
];
/// A table and the people in it; nothing that a platform's, an app's or the runtime's own tests would test with itself.
const STANDS_IN: &[&str] = &["dutykey-embedded", "dutykey-engine", "dutykey-policy", "dutykey-store"];
/// The simulation plays every function, and is used by nobody.
const RUNS_EVERYTHING: &[&str] = &[
    "dutykey-embedded",
    "dutykey-engine",
    "dutykey-platforms",
    "dutykey-policy",
    "dutykey-runtime",
    "dutykey-store",
    "dutykey-targets",
    "handoff",
    "provisioning",
    "revocation",
    "rotation-sync",
];
/// Whatever takes something from outside, and a table for it.
const TAKES_FROM_OUTSIDE: &[&str] = &[
    "access-requests",
    "dutykey-embedded",
    "dutykey-engine",
    "dutykey-platforms",
    "dutykey-policy",
    "dutykey-runtime",
    "dutykey-store",
    "dutykey-targets",
    "webhook-ingest",
];
/// What the tests of any crate may use besides; those of the whole system use everything.
const TEST_TOOLS: &[&str] = &["dutykey-embedded", "dutykey-tests"];

/// The beginnings of the names of crates that do I/O. None is anywhere beneath `policy`.
const DOES_IO: &[&str] = &[
    "async-std",
    "aws-",
    "aws_",
    "axum",
    "hyper",
    "lambda_",
    "mio",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
];

/// The longest `main.rs`, in lines: a screen.
const SCREEN: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn workspace() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn crates(metadata: &Metadata) -> BTreeSet<&str> {
    metadata.packages.iter().map(|package| package.name.as_str()).collect()
}

/// Our own crates among the dependencies that the kind picks.
fn ours<'a>(package: &'a Package, all: &BTreeSet<&str>, kind: impl Fn(DependencyKind) -> bool) -> BTreeSet<&'a str> {
    let picked = package.dependencies.iter().filter(|dependency| kind(dependency.kind));
    picked.map(|dependency| dependency.name.as_str()).filter(|name| all.contains(name)).collect()
}

#[test]
fn arrows_point_inward() {
    let metadata = workspace();
    let all = crates(&metadata);
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            panic!("{name} is new: say in ARROWS which of our crates it may depend on");
        };
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let outward = ours(package, &all, |kind| kind != DependencyKind::Development);
        let outward: Vec<_> = outward.difference(&allowed).collect();
        assert!(
            outward.is_empty(),
            "{name} must not depend on {outward:?}: arrows point inward, and neighbours don't know each other"
        );

        if name == "dutykey-tests" {
            continue;
        }
        let allowed = &allowed | &TEST_TOOLS.iter().copied().collect();
        let outward = ours(package, &all, |kind| kind == DependencyKind::Development);
        let outward: Vec<_> = outward.difference(&allowed).collect();
        assert!(outward.is_empty(), "the tests of {name} must not depend on {outward:?}; put such a test into `tests`");
    }
}

#[test]
fn every_rule_is_about_a_crate_that_exists() {
    let metadata = workspace();
    let named: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let gone: Vec<_> = named.difference(&crates(&metadata)).copied().collect();
    assert!(gone.is_empty(), "ARROWS names {gone:?}, which the workspace does not have");
}

#[test]
fn nothing_beneath_policy_does_io() {
    // For this machine only: cargo would fetch what other systems need otherwise.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .unwrap();
    let resolve = metadata.resolve.as_ref().unwrap();
    let name = |id: &cargo_metadata::PackageId| metadata[id].name.as_str().to_owned();
    let mut waiting: Vec<_> = resolve.nodes.iter().filter(|node| name(&node.id) == "dutykey-policy").collect();
    assert_eq!(waiting.len(), 1, "the workspace has one policy");
    let mut beneath = BTreeSet::new();
    while let Some(node) = waiting.pop() {
        for dependency in &node.deps {
            let normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && beneath.insert(&dependency.pkg) {
                waiting.extend(resolve.nodes.iter().filter(|node| node.id == dependency.pkg));
            }
        }
    }
    let beneath: BTreeSet<String> = beneath.into_iter().map(name).collect();
    assert!(beneath.contains("jiff"), "the test sees policy's dependencies: {beneath:?}");
    let io: Vec<_> = beneath.iter().filter(|name| DOES_IO.iter().any(|begin| name.starts_with(begin))).collect();
    assert!(io.is_empty(), "policy is pure; beneath it is {io:?}");
}

#[test]
fn whoever_deploys_builds_what_the_functions_share_once() {
    const FUNCTIONS: [&str; 7] = [
        "access-requests",
        "evidence-copy",
        "handoff",
        "provisioning",
        "revocation",
        "rotation-sync",
        "webhook-ingest",
    ];
    // Cargo names what a crate is built with only in the tree of a single one.
    let built = |name: &str| -> BTreeMap<String, String> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["tree", "--locked", "--package", name, "--edges", "normal"]);
        let tree = cargo.args(["--prefix", "none", "--format", "{p}|{f}"]).output().unwrap();
        assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
        let lines = String::from_utf8(tree.stdout).unwrap();
        let crates = lines.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|'));
        crates.map(|(package, features)| (package.to_owned(), features.to_owned())).collect()
    };
    let mut shared: BTreeMap<String, String> = BTreeMap::new();
    for function in FUNCTIONS {
        for (package, features) in built(function) {
            let first = shared.entry(package.clone()).or_insert_with(|| features.clone());
            assert_eq!(
                *first, features,
                "{package} has other features in {function} than in functions before it, so that it and all above it are \
                 built twice: let shared/runtime/Cargo.toml ask for both"
            );
        }
    }
}

#[test]
fn the_lints_of_the_workspace_hold_in_every_crate() {
    for package in workspace().packages {
        let manifest = read(package.manifest_path.as_std_path());
        assert!(
            manifest.contains("[lints]\nworkspace = true\n"),
            "{} lacks `[lints] workspace = true`",
            package.manifest_path
        );
    }
}

#[test]
fn deliberate_bugs_are_asked_for_on_the_command_line_only() {
    const FEATURE: &str = "deliberate-bugs";
    let asks = |feature: &str| feature == FEATURE || feature.ends_with(&format!("/{FEATURE}"));
    for package in workspace().packages {
        for dependency in &package.dependencies {
            let asked = dependency.features.iter().any(|feature| asks(feature));
            assert!(!asked, "{} enables {FEATURE} in {}: then every binary has it", package.name, dependency.name);
        }
        for (feature, enables) in package.features.iter().filter(|(feature, _)| *feature != FEATURE) {
            let asked = enables.iter().any(|feature| asks(feature));
            assert!(!asked, "the feature {feature} of {} enables {FEATURE}", package.name);
        }
    }
}

#[test]
fn aws_lc_is_built_without_jitter_entropy() {
    let config = read(&root().join(".cargo/config.toml"));
    let set = config.lines().any(|line| line.trim() == r#"AWS_LC_SYS_NO_JITTER_ENTROPY = "1""#);
    assert!(
        set,
        ".cargo/config.toml does not set AWS_LC_SYS_NO_JITTER_ENTROPY: cold starts take 60 ms and more longer"
    );
    assert_eq!(option_env!("AWS_LC_SYS_NO_JITTER_ENTROPY"), Some("1"), "the build did not see .cargo/config.toml");
}

#[test]
fn every_main_is_wiring_that_fits_on_a_screen() {
    for package in workspace().packages {
        for target in package.targets.iter().filter(|target| target.is_bin()) {
            let lines = read(target.src_path.as_std_path()).lines().count();
            assert!(lines <= SCREEN, "{} has {lines} lines; move what is not wiring to the library", target.src_path);
        }
    }
}
