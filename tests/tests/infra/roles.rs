//! Each role has the power of its function's duty and no other.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::callers::Subject;
use dutykey_engine::ports::ledger::Notice;
use dutykey_policy::evidence::Chain;
use dutykey_policy::installation::Topic;
use dutykey_store::keys;
use jiff::Timestamp;
use serde_json::Value;

use super::functions::{events, sends_to};
use super::template::{ENTRY, SUBJECTS, listed, named, referred, resources, template};

/// Policies with a resource that is a wildcard because AWS has no other form, each with its reason. Each has a condition.
const WILDCARDS: [&str; 1] = [
    // X-Ray has no resources for these actions.
    "TracesPolicy",
];
/// The objects of a bucket: there is no other form for those whose keys are not known before.
const OBJECTS: &str = "${EvidenceBucketArn}/evidence/*";
/// What is about the table as such and touches no item.
const DESCRIBES: &str = "dynamodb:DescribeTable";
/// Actions that only read.
pub(super) const READS: [&str; 4] = [DESCRIBES, "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"];

/// What a role may do.
pub(super) struct Statement {
    pub(super) actions: BTreeSet<String>,
    resources: Vec<Value>,
    pub(super) keys: BTreeSet<String>,
}

impl Statement {
    fn read(statement: &Value) -> Self {
        let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
        Self {
            actions: listed(&statement["Action"]).into_iter().map(text).collect(),
            resources: listed(&statement["Resource"]).into_iter().cloned().collect(),
            keys: keys.as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// The index of the table that it is about.
    pub(super) fn index(&self) -> Option<&str> {
        self.resources[0]["Fn::Sub"].as_str()?.strip_prefix("${TableArn}/index/")
    }

    /// Whether it is about items; the stream of what is written has none to name.
    pub(super) fn is_of_the_table(&self) -> bool {
        let of_stream = self.resources.iter().all(|it| it["Ref"] == "TableStreamArn");
        !of_stream && self.actions.iter().any(|action| action.starts_with("dynamodb:"))
    }
}

/// What each role of functions may do, by the function's name.
pub(super) fn roles() -> BTreeMap<String, Vec<Statement>> {
    let (entry, template) = (template(ENTRY), template("roles"));
    let functions = resources(&entry, "AWS::Serverless::Function").into_iter();
    let role = |(id, function): (&str, &Value)| {
        let role = &template["Resources"][format!("{id}Role")]["Properties"];
        let policies = role["Policies"].as_array().expect("a role has policies").iter();
        let statements = policies.flat_map(|policy| listed(&policy["PolicyDocument"]["Statement"]));
        (named(&function["FunctionName"]).to_owned(), statements.map(Statement::read).collect())
    };
    functions.map(role).collect()
}

/// The partitions that a role writes or reads.
fn partitions(statements: &[Statement], writes: bool) -> BTreeSet<&str> {
    let items = statements.iter().filter(|it| it.is_of_the_table() && it.index().is_none());
    let these = items.filter(|it| it.actions.iter().any(|action| !READS.contains(&action.as_str())) == writes);
    these.flat_map(|it| it.keys.iter().map(String::as_str)).collect()
}

/// The kinds of partitions that there are, as a role names them: `PERSON#*`.
fn kinds() -> BTreeSet<String> {
    let (person, at) = ("per_01JD0000000000000000000000".parse().unwrap(), Timestamp::UNIX_EPOCH);
    let (source, app, rotation) = ("pd".parse().unwrap(), "directory".parse().unwrap(), "pd:P1".parse().unwrap());
    let text = String::new();
    let notice = Notice::new("n".to_owned(), Topic::Overdue, text, at);
    let all = [
        keys::installation().pk,
        keys::config().pk,
        keys::profile(&"prod".parse().unwrap()),
        keys::block("b").pk,
        keys::catalog(&app),
        keys::roll("directory").pk,
        keys::sweep("s").pk,
        keys::turns(&app, "t"),
        keys::pulse().pk,
        keys::person(&person),
        keys::source(&source),
        keys::rotation(&rotation),
        keys::link(&source, &"u".parse().unwrap()).pk,
        keys::request_owner(&"req_01JD0000000000000000000000".parse().unwrap()).pk,
        keys::emergency(&"emg_01JD0000000000000000000000".parse().unwrap()).pk,
        keys::subject(&Subject { issuer: "i".to_owned(), id: "s".to_owned() }).pk,
        keys::address("ann@example.com").pk,
        keys::account(&app, &"a".parse().unwrap()).pk,
        keys::notice(&notice).pk,
        keys::hint(&source, "h").pk,
        keys::chain(&Chain::System),
    ];
    all.iter().map(|pk| kind(pk)).collect()
}

pub(super) fn kind(partition: &str) -> String {
    partition.split_once('#').map_or_else(|| partition.to_owned(), |(kind, _)| format!("{kind}#*"))
}

#[test]
fn p13_no_role_has_a_wildcard() {
    let mut seen = 0;
    for subject in SUBJECTS {
        let template = template(subject);
        let roles = resources(&template, "AWS::IAM::Role").into_iter();
        let inline =
            roles.flat_map(|(name, role)| listed(&role["Policies"]).into_iter().map(move |policy| (name, policy)));
        for (name, policy) in inline.chain(resources(&template, "AWS::IAM::Policy")) {
            for said in listed(&policy["PolicyDocument"]["Statement"]) {
                let statement = Statement::read(said);
                seen += 1;
                let wild = statement.actions.iter().find(|action| action.contains('*'));
                assert_eq!(wild, None, "{name} in {subject}.yaml: name each action");
                for resource in &statement.resources {
                    let listed = WILDCARDS.contains(&name) && said["Condition"].is_object();
                    let objects = resource["Fn::Sub"] == OBJECTS;
                    assert!(
                        listed || objects || !resource.to_string().contains('*'),
                        "{name} in {subject}.yaml: name the resource instead of {resource}"
                    );
                }
            }
        }
    }
    assert!(seen > 30, "the test sees the statements: {seen}");
}

#[test]
fn p13_every_role_names_the_kinds_of_partitions_that_it_touches() {
    let (kinds, roles) = (kinds(), roles());
    for (name, statements) in &roles {
        for statement in statements.iter().filter(|it| it.is_of_the_table()) {
            if statement.actions.iter().eq([DESCRIBES]) {
                continue;
            }
            assert!(!statement.keys.is_empty(), "{name} may touch any item by {:?}", statement.actions);
            if let Some(index) = statement.index() {
                assert!(keys::INDEXES.iter().any(|known| known.name == index), "{name}: there is no index {index}");
                continue;
            }
            assert_eq!(referred(&statement.resources[0]), "Table", "{name} reads and writes the table");
            let unknown: Vec<_> = statement.keys.difference(&kinds).collect();
            assert!(
                unknown.is_empty(),
                "{name} names {unknown:?}, which shared/store/src/keys.rs does not make; it makes {kinds:?}"
            );
        }
    }
    let written: BTreeSet<&str> = roles.values().flat_map(|statements| partitions(statements, true)).collect();
    let there: BTreeSet<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(written, there, "left: what roles may write; right: what there is");
}

#[test]
fn p13_functions_that_face_the_internet_write_hints_and_people_s_own_items_and_nothing_else() {
    let roles = roles();
    assert_eq!(partitions(&roles["webhook-ingest"], true), BTreeSet::from(["HINT#*"]));
    assert_eq!(
        partitions(&roles["access-requests"], true),
        BTreeSet::from([
            "ACCOUNT#*",
            "ADDRESS#*",
            "BLOCK",
            "CALLER#*",
            "CONFIG",
            "EMERGENCY#*",
            "LINK#*",
            "NOTICE#*",
            "PERSON#*",
            "PROFILE#*",
            "REQUEST#*",
            "ROLL#*",
            "ROTATION#*",
            "SOURCE#*",
            "SWEEP#*",
            "SYSTEM",
        ]),
        "who calls, what they ask for or take, what administrators deny and change, what they say of what the brake holds, and \
         whom they erase"
    );
    let links = |it: &&Statement| ["LINK#*", "ACCOUNT#*"].iter().any(|key| it.keys.contains(*key));
    let actions = roles["access-requests"].iter().filter(links).flat_map(|it| &it.actions).map(String::as_str);
    let writes: BTreeSet<&str> = actions.filter(|action| !READS.contains(action)).collect();
    assert_eq!(writes, BTreeSet::from(["dynamodb:DeleteItem"]), "R20: a link is a grant, and none is written here");
    for (name, statements) in roles.iter().filter(|(name, _)| *name != "webhook-ingest") {
        assert!(!partitions(statements, true).contains("HINT#*"), "{name} has no business with hints");
    }
}

#[test]
fn r18_the_copy_of_the_evidence_is_added_to_by_one_function_and_changed_by_none() {
    let roles = roles();
    let reach = |beginning: &str| -> BTreeSet<(&str, &str)> {
        let all =
            roles.iter().flat_map(|(name, all)| all.iter().flat_map(|it| &it.actions).map(move |it| (&**name, &**it)));
        all.filter(|(_, action)| action.starts_with(beginning)).collect()
    };
    assert_eq!(reach("s3:"), BTreeSet::from([("evidence-copy", "s3:PutObject")]), "neither read, nor removed");
    let copies = &roles["evidence-copy"];
    assert!(copies.iter().all(|it| !it.is_of_the_table()), "whoever copies reads what is written and nothing else");
    let streamed = copies.iter().find(|it| it.actions.contains("dynamodb:GetRecords")).expect("it reads the stream");
    let reads = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"].map(|it| format!("dynamodb:{it}"));
    assert_eq!(streamed.actions, BTreeSet::from(reads));
    let others = roles.iter().filter(|(name, _)| *name != "evidence-copy").flat_map(|(_, all)| all);
    assert!(
        others.flat_map(|it| &it.resources).all(|it| it["Ref"] != "TableStreamArn"),
        "nobody else reads the stream"
    );
}

#[test]
fn p13_each_secret_is_read_by_the_functions_of_its_duty() {
    let template = template("roles");
    let policies = resources(&template, "AWS::IAM::Policy").into_iter();
    let secrets =
        policies.filter(|(_, it)| it["PolicyDocument"]["Statement"][0]["Action"] == "secretsmanager:GetSecretValue");
    let found: BTreeMap<&str, Vec<&str>> = secrets
        .map(|(_, policy)| {
            let roles = listed(&policy["Roles"]).into_iter().map(referred).collect();
            (policy["PolicyName"].as_str().unwrap(), roles)
        })
        .collect();
    let duties = [
        ("platform-secrets", vec!["RotationSyncRole"]),
        ("app-secrets", vec!["ProvisioningRole", "RevocationRole"]),
        ("webhook-secrets", vec!["WebhookIngestRole"]),
        ("notice-secrets", vec!["HandoffRole"]),
    ];
    assert_eq!(found, BTreeMap::from(duties));
    for (name, statements) in roles() {
        let reads = statements.iter().any(|it| it.actions.iter().any(|action| action.starts_with("secretsmanager:")));
        assert!(!reads, "{name}: secrets are named in one place, at the end of roles.yaml");
    }
}

#[test]
fn p13_every_role_sends_to_the_queues_of_its_function_and_takes_from_its_own() {
    let template = template(ENTRY);
    let roles = roles();
    for (_, function) in resources(&template, "AWS::Serverless::Function") {
        let name = named(&function["FunctionName"]);
        let with = |action: &str| -> BTreeSet<String> {
            let these = roles[name].iter().filter(|it| it.actions.contains(action));
            these.flat_map(|it| it.resources.iter().map(referred)).map(str::to_owned).collect()
        };
        let mut sends: BTreeSet<String> = sends_to(name).into_iter().map(|queue| format!("{queue:?}Queue")).collect();
        let failures = &function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"];
        sends.extend((!failures.is_null()).then(|| referred(failures).to_owned()));
        let given_up =
            events(function, "DynamoDB").into_iter().map(|it| &it["DestinationConfig"]["OnFailure"]["Destination"]);
        sends.extend(given_up.map(|queue| referred(queue).to_owned()));
        assert_eq!(with("sqs:SendMessage"), sends, "{name}: left: its role; right: where it and Lambda send for it");
        let takes = events(function, "SQS").into_iter().map(|event| referred(&event["Queue"]).to_owned());
        let takes: BTreeSet<String> = takes.collect();
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
            assert_eq!(with(action), takes, "{name}: {action}, with which Lambda takes from its queue");
        }
    }
}
