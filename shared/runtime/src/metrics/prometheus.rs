//! Prometheus' text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{self, Write as _};

use super::{BUCKETS, Counter, Gauge, Histogram, Lag, Totals};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric, also those that are still zero, so that a rate begins at nothing and not at the first event.
pub(super) fn text(totals: &Totals, environment: &str) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut out, totals, &escape(environment));
    out
}

fn write(out: &mut String, totals: &Totals, environment: &str) -> fmt::Result {
    let none = Histogram::default();
    for lag in Lag::ALL {
        let (name, histogram) = (lag.name(), totals.lags.get(lag).unwrap_or(&none));
        writeln!(out, "# HELP {name} {}\n# TYPE {name} histogram", lag.help())?;
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(&histogram.buckets) {
            below += count;
            writeln!(out, "{name}_bucket{{Environment=\"{environment}\",le=\"{bound}\"}} {below}")?;
        }
        let Histogram { count, sum, max, .. } = histogram;
        writeln!(out, "{name}_bucket{{Environment=\"{environment}\",le=\"+Inf\"}} {count}")?;
        writeln!(out, "{name}_sum{{Environment=\"{environment}\"}} {sum}")?;
        writeln!(out, "{name}_count{{Environment=\"{environment}\"}} {count}")?;
        writeln!(out, "# HELP {name}_max The greatest of them.\n# TYPE {name}_max gauge")?;
        writeln!(out, "{name}_max{{Environment=\"{environment}\"}} {max}")?;
    }
    for gauge in Gauge::ALL {
        let (name, value) = (gauge.name(), totals.gauges.get(gauge).copied().unwrap_or_default());
        writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", gauge.help())?;
        writeln!(out, "{name}{{Environment=\"{environment}\"}} {value}")?;
    }
    for counter in Counter::ALL {
        let (name, value) = (counter.name(), totals.counters.get(counter).copied().unwrap_or_default());
        writeln!(out, "# HELP {name} {}\n# TYPE {name} counter", counter.help())?;
        writeln!(out, "{name}{{Environment=\"{environment}\"}} {value}")?;
    }
    Ok(())
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn the_text_has_every_metric_of_the_contract_under_its_name() {
        let metrics = Metrics::new();
        for millis in [-5, 40, 2_000, 2_001, 9_000_000] {
            metrics.lag(Lag::GrantLagMs, millis);
        }
        metrics.set(Gauge::StaleSources, 1);
        metrics.add(Counter::PlatformCalls, 7);
        let text = metrics.prometheus("la\"b");
        let line = |line: &str| assert!(text.lines().any(|l| l == line), "`{line}` is missing in\n{text}");
        line("# HELP GrantLagMs From when a grant was due and known to its first call.");
        line("# TYPE GrantLagMs histogram");
        line(r#"GrantLagMs_bucket{Environment="la\"b",le="50"} 2"#);
        line(r#"GrantLagMs_bucket{Environment="la\"b",le="2000"} 3"#);
        line(r#"GrantLagMs_bucket{Environment="la\"b",le="3600000"} 4"#);
        line(r#"GrantLagMs_bucket{Environment="la\"b",le="+Inf"} 5"#);
        line(r#"GrantLagMs_sum{Environment="la\"b"} 9004036"#);
        line(r#"GrantLagMs_count{Environment="la\"b"} 5"#);
        line(r#"GrantLagMs_max{Environment="la\"b"} 9000000"#);
        line(r#"StaleSources{Environment="la\"b"} 1"#);
        line(r#"PlatformCalls{Environment="la\"b"} 7"#);
        line(r#"HandoffRuns{Environment="la\"b"} 0"#);
        let contract = "GrantLagMs, RevokeLagMs, LateNewsMs, TurnWaitMs, OverdueRevocations, OverdueMinutes, \
                        StaleSources, BrakesWaiting, UnmatchedOnCall, GapsAhead, HandoffRuns, PlatformCalls, TargetCalls, TargetErrors";
        for name in contract.split(", ") {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} is missing");
        }
    }
}
