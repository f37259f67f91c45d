//! Alarms and the dashboard read what is emitted, and each alarm has its section in the runbook.

use std::collections::BTreeSet;

use dutykey_runtime::metrics::{Counter, Gauge, Lag, Metrics};
use jiff::Timestamp;
use serde_json::Value;

use super::template::{ENTRY, file, named, referred, resources, template};

/// A metric: its namespace, its name, and the names of its dimensions.
type Metric = (String, String, BTreeSet<String>);

/// Everything that a process emits, by the lines that it writes.
fn emitted() -> BTreeSet<Metric> {
    let metrics = Metrics::new();
    Lag::ALL.iter().for_each(|lag| metrics.lag(*lag, 1));
    Gauge::ALL.iter().for_each(|gauge| metrics.set(*gauge, 1));
    Counter::ALL.iter().for_each(|counter| metrics.add(*counter, 1));
    let mut lines = Vec::new();
    metrics.flush(Timestamp::UNIX_EPOCH, "default", "handoff", &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let mut found = BTreeSet::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let dimensions = directive["Dimensions"][0].as_array().unwrap();
            let dimensions: BTreeSet<String> = dimensions.iter().map(text).collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                found.insert((text(&directive["Namespace"]), text(&metric["Name"]), dimensions.clone()));
            }
        }
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// What a metric is of: a name and what stands for it.
type Dimensions = Vec<(String, Value)>;

/// The metric of an alarm.
fn of_alarm(alarm: &Value) -> (String, String, Dimensions) {
    let dimension = |it: &Value| (text(&it["Name"]), it["Value"].clone());
    let dimensions = alarm["Dimensions"].as_array().unwrap().iter().map(dimension).collect();
    (text(&alarm["Namespace"]), text(&alarm["MetricName"]), dimensions)
}

/// The metrics of the dashboard, whose body is a text with the installation's name and the region in it.
fn of_dashboard() -> Vec<(String, String, Dimensions)> {
    let dashboard = template("dashboard");
    let body = text(&dashboard["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]);
    let body: Value = serde_json::from_str(&body).expect("the dashboard's body is JSON");
    let widgets = body["widgets"].as_array().unwrap().iter();
    let lines = widgets.flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap());
    let read = |line: &Value| {
        let words: Vec<String> = line.as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let dimensions = words[2..].chunks(2).map(|pair| {
            let [name, value] = pair else { panic!("{line} has a dimension without a value") };
            let environment = value == "${Environment}";
            let value = if environment {
                serde_json::json!({ "Ref": "Environment" })
            } else {
                serde_json::json!({ "Fn::Sub": value })
            };
            (name.clone(), value)
        });
        (words[0].clone(), words[1].clone(), dimensions.collect())
    };
    lines.map(read).collect()
}

fn alarms() -> Vec<(String, Value)> {
    let alarms = template("alarms");
    let found = resources(&alarms, "AWS::CloudWatch::Alarm");
    found.into_iter().map(|(_, alarm)| (named(&alarm["AlarmName"]).to_owned(), alarm.clone())).collect()
}

#[test]
fn alarms_and_the_dashboard_read_what_is_emitted_and_made() {
    let (emitted, data, functions) = (emitted(), template("data"), template(ENTRY));
    let queues = resources(&data, "AWS::SQS::Queue").into_iter().map(|(_, queue)| named(&queue["QueueName"]));
    let queues: BTreeSet<&str> = queues.collect();
    let called = resources(&functions, "AWS::Serverless::Function").into_iter();
    let called: BTreeSet<&str> = called.map(|(_, function)| named(&function["FunctionName"])).collect();
    let of_alarms = alarms().into_iter().map(|(name, alarm)| (format!("the alarm {name}"), of_alarm(&alarm)));
    let of_dashboard = of_dashboard().into_iter().map(|metric| ("the dashboard".to_owned(), metric));
    for (who, (namespace, name, dimensions)) in of_alarms.chain(of_dashboard) {
        let names: BTreeSet<String> = dimensions.iter().map(|(name, _)| name.clone()).collect();
        let metric = (namespace.clone(), name.clone(), names);
        for (dimension, value) in &dimensions {
            let there = match (namespace.as_str(), dimension.as_str()) {
                ("Dutykey", "Environment") => value["Ref"] == "Environment",
                ("Dutykey", "Function") => called.contains(value["Fn::Sub"].as_str().unwrap()),
                ("AWS/Lambda", "FunctionName") => called.contains(named(value)),
                ("AWS/SQS", "QueueName") => queues.contains(named(value)),
                _ => false,
            };
            assert!(there, "{who} reads {metric:?} of {value}, which the templates don't make");
        }
        let aws = ["AWS/Lambda", "AWS/SQS"].contains(&namespace.as_str());
        assert!(
            aws || emitted.contains(&metric),
            "{who} reads {metric:?}, which nothing emits; there are {emitted:#?}"
        );
    }
}

#[test]
fn every_function_and_every_dead_letter_queue_is_watched() {
    let (data, functions, alarms) = (template("data"), template(ENTRY), alarms());
    let watched = |metric: &str| -> BTreeSet<String> {
        let read = alarms.iter().map(|(_, alarm)| of_alarm(alarm)).filter(|(_, name, _)| name == metric);
        read.flat_map(|(.., of)| of).map(|(_, value)| named(&value).to_owned()).collect()
    };
    let all = resources(&functions, "AWS::Serverless::Function").into_iter();
    let all: BTreeSet<String> = all.map(|(_, function)| named(&function["FunctionName"]).to_owned()).collect();
    assert_eq!((watched("Errors"), watched("Throttles")), (all.clone(), all));
    let dead = resources(&data, "AWS::SQS::Queue").into_iter().map(|(_, queue)| named(&queue["QueueName"]).to_owned());
    let dead: BTreeSet<String> = dead.filter(|name| name.ends_with("-dead-letters")).collect();
    assert_eq!(watched("ApproximateNumberOfMessagesVisible"), dead);
}

#[test]
fn every_alarm_tells_and_has_its_section_in_the_runbook() {
    let runbook = file("RUNBOOK.md");
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut meant = BTreeSet::new();
    for (name, alarm) in &alarms() {
        let description = alarm["AlarmDescription"].as_str().unwrap_or_default();
        let section = description.split_once("RUNBOOK.md: ").map(|(_, section)| section.to_owned());
        let section =
            section.unwrap_or_else(|| panic!("{name} doesn't say which section of RUNBOOK.md is its: {description}"));
        assert!(name.starts_with(&section), "{name} is found under {section}");
        for when in ["AlarmActions", "OKActions"] {
            assert_eq!(referred(&alarm[when][0]), "Topic", "{name} tells the topic ({when})");
        }
        meant.insert(section);
    }
    assert_eq!(meant, sections.into_iter().map(str::to_owned).collect(), "left: alarms.yaml; right: RUNBOOK.md");
    for section in runbook.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        for part in ["**It means**", "**Look at**", "**Do**"] {
            assert!(section.contains(part), "the section {name} of RUNBOOK.md lacks {part}");
        }
    }
}

#[test]
fn what_rolls_an_update_back_is_an_alarm_that_there_is() {
    let script = file("rollback");
    let listed = script.lines().find_map(|line| line.strip_prefix("ALARMS = ")).expect("infra/rollback lists alarms");
    let watched: BTreeSet<String> = serde_json::from_str(listed).expect("the list is one line");
    let template = template("alarms");
    let alarms = resources(&template, "AWS::CloudWatch::Alarm").into_iter();
    let alarms: BTreeSet<String> = alarms.map(|(_, alarm)| named(&alarm["AlarmName"]).to_owned()).collect();
    assert!(!watched.is_empty() && watched.len() <= 5, "CloudFormation takes one to five: {watched:?}");
    assert!(watched.is_subset(&alarms), "left: infra/rollback; right: alarms.yaml: {watched:?}, {alarms:?}");
}
