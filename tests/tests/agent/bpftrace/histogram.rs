//! Histograms of both, and where they differ.

use anyhow::{Context as _, Result};
use serde_json::Value;
use sonde_tests::exposition::Metrics;

/// Nanoseconds by which two may differ that time the same wait. The scheduler reads its clock when
/// an operation begins and the tracepoint comes when it is through, in a VM after the interrupt for
/// another CPU has been sent; and the programs of one observer run before those of the other.
/// bpftrace counts each wait as this much shorter and as this much longer, so a bound is blurred by
/// no more.
pub(super) const SLACK: f64 = 3000.0;
/// How far apart the shares below a bound may be all the same, in percent of all: twenty times of
/// what was seen on a machine that did nothing else.
const SHARES: f64 = 2.0;
/// How far apart the counts above a bound may be all the same: the end of the distribution is a
/// small share, but it is what the histogram is there for. What else the machine does just when one
/// of both looks at its clock shows here first.
const COUNTS: f64 = 0.06;
/// What may differ for other reasons: what waits when bpftrace begins or ends, and requests for one
/// sector at the same time, of which bpftrace loses one.
const FEW: f64 = 100.0;

/// Values by bound: all that are below it and not below the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    buckets: Vec<(f64, f64)>,
    sum: f64,
}

impl Histogram {
    /// How many are below a bound, and how many are not.
    fn parted(&self, bound: f64) -> (f64, f64) {
        let part = |below: bool| {
            let buckets = self.buckets.iter();
            let counts = buckets.filter(|bucket| (bucket.0 <= bound) == below);
            counts.map(|bucket| bucket.1).sum()
        };
        (part(true), part(false))
    }

    pub(super) fn count(&self) -> f64 {
        self.parted(f64::INFINITY).0
    }

    fn mean(&self) -> f64 {
        self.sum / self.count()
    }

    /// What the agent has counted between two scrapes.
    pub(super) fn ours(
        before: &Metrics,
        after: &Metrics,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Self> {
        let grown = |name: &str, labels: &[(&str, &str)]| {
            let last = after.sum(name, labels).context("no such metric")?;
            Ok::<_, anyhow::Error>(last - before.sum(name, labels).unwrap_or(0.0))
        };
        let bucket = format!("{name}_bucket");
        let mut ours = Self::default();
        let mut below = 0.0;
        for sample in after.of(&bucket, labels) {
            let bound = sample.labels.get("le").context("no bound")?;
            let all = grown(&bucket, &[labels, &[("le", bound)]].concat())?;
            let nanoseconds = (bound.parse::<f64>()? * 1e9).round();
            ours.buckets.push((nanoseconds, all - below));
            below = all;
        }
        ours.sum = grown(&format!("{name}_sum"), labels)? * 1e9;
        Ok(ours)
    }

    /// What bpftrace has printed of a map, and of its values whose keys begin like this.
    pub(super) fn theirs(printed: &[Value], map: &str, key: &str) -> Result<Self> {
        let values = |name: String| {
            let maps = printed.iter().map(move |line| &line["data"][&name]);
            maps.flat_map(|map| match map {
                Value::Object(of) => of
                    .iter()
                    .filter(|(is, _)| is.starts_with(key))
                    .map(|(_, value)| value)
                    .collect(),
                plain => vec![plain],
            })
        };
        let mut theirs = Self::default();
        for bucket in values(format!("@{map}"))
            .filter_map(Value::as_array)
            .flatten()
        {
            let count = bucket["count"].as_f64().context("no count")?;
            let bound = bucket["max"]
                .as_f64()
                .map_or(f64::INFINITY, |last| last + 1.0);
            theirs.buckets.push((bound, count));
        }
        theirs.sum = values(format!("@{map}_sum"))
            .filter_map(Value::as_f64)
            .sum();
        Ok(theirs)
    }
}

/// Whether the means agree, and so the sums.
pub(super) fn means_agree(ours: &Histogram, shorter: &Histogram, longer: &Histogram) -> bool {
    let (least, most) = (shorter.mean(), longer.mean());
    println!(
        "{:>24} {least:>12.4} {:>12.4} {most:>12.4}",
        "mean",
        ours.mean()
    );
    ours.mean() >= least * (1.0 - COUNTS) && ours.mean() <= most * (1.0 + COUNTS)
}

/// Where the two don't agree; bpftrace's waits are those that it has made shorter and longer.
pub(super) fn differences(
    ours: &Histogram,
    shorter: &Histogram,
    longer: &Histogram,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, least: f64, ours: f64, most: f64| {
        let agrees = ours >= least && ours <= most;
        println!("{what:>24} {least:>12.4} {ours:>12.4} {most:>12.4} {agrees}");
        if !agrees {
            found.push(format!("{what}: {ours}, not {least} to {most}"));
        }
    };
    let most = |value: f64| value * (1.0 + COUNTS) + FEW;
    let least = |value: f64| value * (1.0 - COUNTS) - FEW;
    let all = ours.count();
    compare(
        "count".into(),
        least(longer.count()),
        all,
        most(longer.count()),
    );
    for (bound, _) in &ours.buckets {
        let [ours, shorter, longer] = [ours, shorter, longer].map(|each| each.parted(*bound));
        if ours.1 == 0.0 && shorter.1 == 0.0 && longer.1 == 0.0 {
            break;
        }
        let share = |below: (f64, f64)| 100.0 * below.0 / (below.0 + below.1);
        let shares = (share(longer) - SHARES, share(shorter) + SHARES);
        compare(format!("% < {bound}"), shares.0, share(ours), shares.1);
        compare(
            format!("{bound} <="),
            least(shorter.1),
            ours.1,
            most(longer.1),
        );
    }
    found
}

#[test]
fn histograms_that_differ_are_told_apart() {
    let of = |counts: [f64; 4]| Histogram {
        buckets: [8192.0, 65536.0, 524_288.0, f64::INFINITY]
            .into_iter()
            .zip(counts)
            .collect(),
        sum: 4e9,
    };
    let theirs = of([60_000.0, 30_000.0, 9000.0, 1000.0]);
    let found = |ours: &Histogram| differences(ours, &theirs, &theirs).join(", ");
    assert_eq!(found(&theirs), "");
    let fewer = of([54_000.0, 27_000.0, 8100.0, 900.0]);
    assert!(found(&fewer).contains("count"));
    let moved = of([57_000.0, 33_000.0, 9000.0, 1000.0]);
    assert!(found(&moved).contains("% < 8192"));
    let without_an_end = of([60_000.0, 30_000.0, 9500.0, 500.0]);
    assert!(found(&without_an_end).contains("524288 <="));
    let longer = Histogram {
        sum: 4.4e9,
        ..theirs.clone()
    };
    assert!(!means_agree(&longer, &theirs, &theirs));
    assert!(means_agree(&theirs, &theirs, &theirs));
}
