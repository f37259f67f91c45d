//! Each function is deployed as its code wants to be: under its name, with its variables, its events and its log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_runtime::environment::{Environment, queue_variable};
use dutykey_runtime::function::SIDE_BY_SIDE;
use dutykey_runtime::lambda::{Event, Job, Task};
use dutykey_store::keys::{EVIDENCE, SK};
use serde_json::{Value, json};

use super::template::{ENTRY, SUBJECTS, file, folder, listed, named, referred, resources, template};

/// Lambda asks for a queue's visibility time-out of so many times its function's.
const VISIBLE: i64 = 6;

/// The deployed functions by name, with their logical names.
fn functions(functions: &Value) -> BTreeMap<&str, (&str, &Value)> {
    let found = resources(functions, "AWS::Serverless::Function").into_iter();
    found.map(|(id, function)| (named(&function["FunctionName"]), (id, function))).collect()
}

/// The events of a type that a function takes.
pub(super) fn events<'a>(function: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = function["Events"].as_object().into_iter().flat_map(serde_json::Map::values);
    all.filter(|event| event["Type"] == kind).map(|event| &event["Properties"]).collect()
}

/// What a function is wired with.
fn wiring(name: &str) -> String {
    let path = folder().join(format!("../functions/{name}/src/main.rs"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The queues to which a function sends, by its wiring.
pub(super) fn sends_to(name: &str) -> Vec<Queue> {
    let wiring = wiring(name);
    let all = [("Sync", Queue::Sync), ("Provisioning", Queue::Provisioning), ("Revocation", Queue::Revocation)];
    all.into_iter().filter(|(word, _)| wiring.contains(&format!("Queue::{word}"))).map(|(_, queue)| queue).collect()
}

#[test]
fn every_function_is_deployed_under_its_name_with_a_log_and_a_role_of_its_own() {
    let (template, roles) = (template(ENTRY), template("roles"));
    let deployed = functions(&template);
    let crates = fs::read_dir(folder().join("../functions")).unwrap();
    let crates = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let crates: BTreeSet<String> = crates.filter(|name| name != "local").collect();
    let names: BTreeSet<String> = deployed.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, crates, "left: template.yaml; right: functions/* without `local`");
    let globals = &template["Globals"]["Function"];
    assert_eq!((&globals["Runtime"], &globals["Handler"]), (&json!("provided.al2023"), &json!("bootstrap")));
    assert_eq!(globals["LoggingConfig"]["LogFormat"], "JSON", "metrics and logs are lines of JSON on standard output");
    for (name, (id, function)) in deployed {
        let metadata = &template["Resources"][id]["Metadata"];
        assert_eq!(
            metadata,
            &json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": name}}),
            "{name}"
        );
        assert_eq!(function["CodeUri"], format!("../functions/{name}"));
        assert_eq!(
            function["Role"]["Fn::GetAtt"],
            format!("Roles.Outputs.{id}RoleArn"),
            "{name} has a role of its own"
        );
        let log = &roles["Resources"][format!("{id}Log")]["Properties"];
        assert_eq!(function["LoggingConfig"]["LogGroup"], log["LogGroupName"], "{name} has a log of its own");
        assert_eq!(log["RetentionInDays"]["Ref"], "LogRetentionDays", "the log of {name} is not kept for ever");
    }
}

#[test]
fn every_function_starts_with_its_variables_and_gets_no_other() {
    let template = template(ENTRY);
    let common = &template["Globals"]["Function"]["Environment"]["Variables"];
    for (name, (_, function)) in functions(&template) {
        let own = &function["Environment"]["Variables"];
        let given = [common, own].into_iter().filter_map(Value::as_object).flatten();
        let given: BTreeMap<&str, String> = given.map(|(name, value)| (name.as_str(), example(value))).collect();

        let (queues, wiring) = (sends_to(name), wiring(name));
        let read = Environment::read(|name| given.get(name).cloned(), &queues);
        let read =
            read.unwrap_or_else(|error| panic!("{name} would not start with what template.yaml gives it: {error}"));
        let mut wanted = BTreeSet::from(["DUTYKEY_ENVIRONMENT", "DUTYKEY_LOG", "DUTYKEY_TABLE"]);
        wanted.extend(queues.iter().map(|queue| queue_variable(*queue)));
        // A clash of names would be seen by nobody else: `Start` and `Secrets` are the only ways to a secret.
        wanted.extend((wiring.contains("Start") || wiring.contains("Secrets")).then_some("DUTYKEY_SECRET_TTL"));
        wanted.extend(wiring.contains("notice_topic").then_some("DUTYKEY_NOTICE_TOPIC_ARN"));
        wanted.extend(wiring.contains("evidence_bucket").then_some("DUTYKEY_EVIDENCE_BUCKET"));
        assert_eq!(
            given.keys().copied().collect::<BTreeSet<_>>(),
            wanted,
            "{name}: left: template.yaml; right: its main.rs"
        );
        assert_eq!(read.name, "production", "{name} names the installation in its metrics");
        for queue in queues {
            let word = format!("{queue:?}Queue");
            assert_eq!(
                referred(&own[queue_variable(queue)]),
                word,
                "{name}: {} leads to its queue",
                queue_variable(queue)
            );
        }
    }
}

/// A value of the kind that the parameter has in a deployment.
fn example(value: &Value) -> String {
    let output = || value["Fn::GetAtt"].as_str()?.strip_prefix("Data.Outputs.");
    let parameter = value["Ref"].as_str().or_else(output).unwrap_or_else(|| panic!("{value} is not known before"));
    let example = match parameter {
        "Environment" => "production",
        "TableName" => "dutykey-production",
        "LogLevel" => "info",
        "SecretTtl" => "5m",
        "EvidenceBucketName" => "dutykey-production-data-evidencebucket-1f0c",
        "TopicArn" => "arn:aws:sns:eu-central-1:123456789012:dutykey-production",
        queue if queue.ends_with("QueueUrl") => "https://sqs.eu-central-1.amazonaws.com/123456789012/queue",
        other => panic!("say what {other} is in a deployment"),
    };
    example.to_owned()
}

#[test]
fn every_queue_fits_its_function_and_gives_up_to_dead_letters() {
    let (template, data) = (template(ENTRY), template("data"));
    let queues: BTreeMap<&str, &Value> = resources(&data, "AWS::SQS::Queue").into_iter().collect();
    let mut taken = BTreeSet::new();
    for (name, (_, function)) in functions(&template) {
        for event in events(function, "SQS") {
            let queue = referred(&event["Queue"]);
            taken.insert(queue);
            let (hidden, time_out) = (&queues[queue]["VisibilityTimeout"], &function["Timeout"]);
            assert!(
                hidden.as_i64().unwrap() >= VISIBLE * time_out.as_i64().unwrap(),
                "{queue} hides a message for {hidden} s; {name} may take {time_out} s, and Lambda asks for {VISIBLE} times that"
            );
            let side_by_side = i64::try_from(SIDE_BY_SIDE.get()).unwrap();
            assert_eq!(event["BatchSize"], side_by_side, "{name} works on a whole batch side by side");
            let answers = listed(&event["FunctionResponseTypes"]);
            assert_eq!(answers, ["ReportBatchItemFailures"], "without it, what {name} reports as failed is deleted");
            assert!(event["ScalingConfig"]["MaximumConcurrency"].is_i64(), "{name} has a concurrency of its own");
        }
    }
    let sent: BTreeSet<String> =
        functions(&template).keys().flat_map(|name| sends_to(name)).map(|queue| format!("{queue:?}Queue")).collect();
    assert_eq!(
        taken,
        sent.iter().map(String::as_str).collect(),
        "left: queues that a function takes; right: queues sent to"
    );
    for queue in taken {
        let dead = referred(&queues[queue]["RedrivePolicy"]["deadLetterTargetArn"]);
        let kept = &queues[dead]["MessageRetentionPeriod"];
        assert!(kept.as_i64() > Some(4 * 86_400), "{dead} keeps its messages longer than {queue}, whose age they keep");
    }
}

#[test]
fn r18_all_evidence_and_nothing_else_reaches_whoever_copies_it() {
    let (template, data) = (template(ENTRY), template("data"));
    let deployed = functions(&template);
    let of_streams: Vec<_> = deployed
        .iter()
        .flat_map(|(name, (_, function))| events(function, "DynamoDB").into_iter().map(move |it| (*name, it)))
        .collect();
    let [("evidence-copy", stream)] = of_streams[..] else { panic!("one function reads the stream: {of_streams:?}") };
    assert_eq!(referred(&stream["Stream"]), "TableStream");
    assert_eq!(data["Resources"]["Table"]["Properties"]["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");
    assert_eq!(stream["StartingPosition"], "TRIM_HORIZON", "what was written before it was read is copied too");
    let [filter] = listed(&stream["FilterCriteria"]["Filters"])[..] else { panic!("one filter: {stream}") };
    let filter: Value = serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap();
    let place = json!({ SK: { "S": [{ "prefix": EVIDENCE }] } });
    assert_eq!(filter, json!({ "dynamodb": { "Keys": place } }), "by its place, whatever happened to it");
    assert_eq!(listed(&stream["FunctionResponseTypes"]), ["ReportBatchItemFailures"]);
    let tried = stream["MaximumRecordAgeInSeconds"].as_i64();
    assert!(
        Some(6 * 3_600) <= tried && tried < Some(24 * 3_600),
        "given up while the stream still has it: {tried:?} s"
    );
    let given_up = referred(&stream["DestinationConfig"]["OnFailure"]["Destination"]);
    assert_eq!(given_up, "EvidenceDeadLetters", "what is given up is told of");
}

#[test]
fn every_schedule_reaches_a_function_that_knows_its_job() {
    let schedules = template("schedules");
    // Where a job is done, how often, and by whom that is counted on.
    let jobs = [
        (Task::Handoff, "Handoff", "rate(1 minute)"),
        (Task::Sync, "RotationSync", "rate(1 minute)"),
        (Task::Catalog, "ProvisioningQueue", "rate(1 hour)"),
    ];
    let mut begun = BTreeSet::new();
    for (name, schedule) in resources(&schedules, "AWS::Scheduler::Schedule") {
        let target = &schedule["Target"];
        let input = target["Input"].as_str().unwrap();
        let input = input
            .replace("<aws.scheduler.scheduled-time>", "2026-11-23T07:15:00Z")
            .replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3")
            .replace("<aws.scheduler.attempt-number>", "1");
        assert!(!input.contains("<aws."), "{name}: the Scheduler knows no other attribute: {input}");
        let event = Event::parse(serde_json::from_str(&input).unwrap());
        let Ok(Event::Schedule(Job { task, .. })) = event else {
            panic!("{name}: the functions don't read {input}: {event:?}")
        };
        let (_, place, often) =
            jobs.iter().find(|(job, ..)| *job == task).unwrap_or_else(|| panic!("nobody has the job {task:?}"));
        assert_eq!(referred(&target["Arn"]), *place, "{name} reaches whoever has its job");
        if task == Task::Catalog {
            let message: Message = serde_json::from_str(&input).expect("a message of the queue");
            assert_eq!(message.about, Message::catalog(None, "test").about, "each app is read: {input}");
        }
        assert_eq!(schedule["ScheduleExpression"], *often, "{name}: the functions count on it");
        assert_eq!(schedule["FlexibleTimeWindow"]["Mode"], "OFF", "{name} is on time");
        assert_eq!(referred(&target["DeadLetterConfig"]["Arn"]), "SchedulesDeadLetters", "{name} loses no run unseen");
        begun.insert(*place);
    }
    assert_eq!(begun, jobs.iter().map(|(_, place, _)| *place).collect(), "every job is begun");
    let role = &schedules["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    let with = |action: &str| -> BTreeSet<&str> {
        let these = role.as_array().unwrap().iter().filter(|statement| statement["Action"] == action);
        these.flat_map(|statement| listed(&statement["Resource"])).map(referred).collect()
    };
    assert_eq!(with("lambda:InvokeFunction"), BTreeSet::from(["Handoff", "RotationSync"]));
    assert_eq!(with("sqs:SendMessage"), BTreeSet::from(["ProvisioningQueue", "SchedulesDeadLetters"]));
}

#[test]
fn the_entry_hands_each_parameter_on_under_its_name() {
    let entry = template(ENTRY);
    let nested = resources(&entry, "AWS::Serverless::Application");
    let places: BTreeSet<String> = nested.iter().map(|(_, it)| it["Location"].as_str().unwrap().to_owned()).collect();
    assert_eq!(places, SUBJECTS.iter().map(|subject| format!("{subject}.yaml")).collect());
    for (_, application) in nested {
        let place = application["Location"].as_str().unwrap();
        let wanted = template(place.strip_suffix(".yaml").unwrap());
        let wanted: BTreeSet<&String> = wanted["Parameters"].as_object().unwrap().keys().collect();
        let given = application["Parameters"].as_object().unwrap();
        assert_eq!(given.keys().collect::<BTreeSet<_>>(), wanted, "left: template.yaml; right: {place}");
        for (name, value) in given {
            let own = value["Ref"] == name.as_str();
            let said = value["Fn::GetAtt"].as_str().unwrap_or_default();
            let output = said.rsplit_once(".Outputs.");
            let right = own || output.map_or_else(|| said.replace('.', "") == *name, |(_, output)| output == name);
            assert!(right, "{place} gets {value} as {name}");
            let Some((of, _)) = output else { continue };
            let of = template(&of.to_lowercase());
            let resource = referred(&of["Outputs"][name]["Value"]);
            let meant = ["Arn", "Url", "Name"].iter().find_map(|end| name.strip_suffix(end)).unwrap();
            assert_eq!(resource.replace('.', ""), meant, "the output {name} is of the resource of its name");
        }
    }
}

#[test]
fn every_parameter_is_explained() {
    let (entry, readme) = (template(ENTRY), file("README.md"));
    let parameters = entry["Parameters"].as_object().unwrap();
    let rows: BTreeSet<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    for (name, parameter) in parameters {
        assert!(parameter["Description"].is_string(), "the parameter {name} of template.yaml says what it is");
        assert!(rows.contains(name.as_str()), "infra/README.md says what the parameter {name} is");
    }
}
