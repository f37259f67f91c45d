//! CloudWatch's embedded metric format: a log line from which CloudWatch takes metrics, so that a function makes no call
//! for them. The form: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! A metric's value is a number or a list of at most 100; a line has at most 100 metrics and 1 MiB.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Counter, Fresh, Lag};

const NAMESPACE: &str = "Dutykey";

/// At most this many values of one metric on a line.
const MAX_VALUES: usize = 100;

/// One metric of a line.
struct Reading {
    name: &'static str,
    unit: &'static str,
    /// Whether several functions publish it, so that the function is a dimension.
    by_function: bool,
    value: Value,
}

/// The lines, without their ends.
pub(super) fn lines(fresh: Fresh, at: Timestamp, environment: &str, function: &str) -> Vec<String> {
    let Fresh { lags, gauges, counters } = fresh;
    let mut first = Vec::new();
    let mut further = Vec::new();
    for (lag, values) in &lags {
        for (index, values) in values.chunks(MAX_VALUES).enumerate() {
            let value = match values {
                [one] => json!(one),
                several => json!(several),
            };
            let reading = Reading {
                name: lag.name(),
                unit: "Milliseconds",
                by_function: matches!(lag, Lag::LateNewsMs | Lag::TurnWaitMs),
                value,
            };
            if index == 0 { first.push(reading) } else { further.push(vec![reading]) }
        }
    }
    first.extend(gauges.into_iter().map(|(gauge, value)| Reading {
        name: gauge.name(),
        unit: "Count",
        by_function: false,
        value: json!(value),
    }));
    first.extend(counters.into_iter().map(|(counter, value)| Reading {
        name: counter.name(),
        unit: "Count",
        by_function: matches!(counter, Counter::TargetCalls | Counter::TargetErrors),
        value: json!(value),
    }));
    std::iter::once(first)
        .chain(further)
        .filter(|readings| !readings.is_empty())
        .map(|readings| line(readings, at, environment, function))
        .collect()
}

fn line(readings: Vec<Reading>, at: Timestamp, environment: &str, function: &str) -> String {
    let (by_function, plain): (Vec<_>, Vec<_>) = readings.iter().partition(|reading| reading.by_function);
    let directives: Vec<Value> =
        [(json!([["Environment"]]), plain), (json!([["Environment", "Function"]]), by_function)]
            .into_iter()
            .filter(|(_, readings)| !readings.is_empty())
            .map(|(dimensions, readings)| {
                let metrics: Vec<_> = readings.iter().map(|r| json!({ "Name": r.name, "Unit": r.unit })).collect();
                json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics })
            })
            .collect();
    let mut root = Map::new();
    root.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": directives }));
    root.insert("Environment".to_owned(), environment.into());
    root.insert("Function".to_owned(), function.into());
    root.extend(readings.into_iter().map(|reading| (reading.name.to_owned(), reading.value)));
    Value::Object(root).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::{Gauge, Metrics};
    use super::*;

    fn flushed(metrics: &Metrics) -> Vec<Value> {
        let at = Timestamp::from_millisecond(1_774_746_000_123).expect("an instant");
        let mut out = Vec::new();
        metrics.flush(at, "prod", "provisioning", &mut out).expect("a buffer takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    #[test]
    fn an_invocation_is_one_line_in_the_embedded_metric_format() {
        let metrics = Metrics::new();
        metrics.lag(Lag::GrantLagMs, 12);
        metrics.lag(Lag::GrantLagMs, 140);
        metrics.lag(Lag::LateNewsMs, 3_000);
        metrics.set(Gauge::OverdueRevocations, 4);
        metrics.set(Gauge::OverdueRevocations, 2);
        metrics.add(Counter::TargetCalls, 3);
        metrics.add(Counter::TargetCalls, 1);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_774_746_000_123_i64,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Dutykey",
                        "Dimensions": [["Environment"]],
                        "Metrics": [
                            { "Name": "GrantLagMs", "Unit": "Milliseconds" },
                            { "Name": "OverdueRevocations", "Unit": "Count" },
                        ],
                    },
                    {
                        "Namespace": "Dutykey",
                        "Dimensions": [["Environment", "Function"]],
                        "Metrics": [
                            { "Name": "LateNewsMs", "Unit": "Milliseconds" },
                            { "Name": "TargetCalls", "Unit": "Count" },
                        ],
                    },
                ],
            },
            "Environment": "prod",
            "Function": "provisioning",
            "GrantLagMs": [12, 140],
            "LateNewsMs": 3_000,
            "OverdueRevocations": 2,
            "TargetCalls": 4,
        });
        assert_eq!(flushed(&metrics), [expected]);
        assert!(flushed(&metrics).is_empty(), "what was written is not written again");
    }

    #[test]
    fn more_than_a_hundred_values_take_more_lines_and_none_is_lost() {
        let metrics = Metrics::new();
        (0..250).for_each(|millis| metrics.lag(Lag::RevokeLagMs, millis));
        metrics.add(Counter::HandoffRuns, 1);
        let lines = flushed(&metrics);
        let values: Vec<_> = lines.iter().filter_map(|line| line["RevokeLagMs"].as_array()).collect();
        assert!(values.len() == 3 && values.iter().all(|values| values.len() <= 100));
        let numbers: Vec<i64> = values.into_iter().flatten().filter_map(Value::as_i64).collect();
        assert_eq!(numbers, (0..250).collect::<Vec<_>>());
        assert_eq!(lines.iter().filter(|line| line.get("HandoffRuns").is_some()).count(), 1);
    }
}
