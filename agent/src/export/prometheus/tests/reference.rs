//! `prometheus-client` as the reference: what its encoder can write reads the same as ours.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit as ReferenceUnit},
};

use super::*;
use crate::metric::{Family as Metrics, Value};

#[derive(Debug)]
struct Reference(Vec<Metrics>);

impl Collector for Reference {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in &self.0 {
            let unit = match family.descriptor.unit {
                Unit::Seconds => Some(ReferenceUnit::Seconds),
                Unit::Bytes => Some(ReferenceUnit::Bytes),
                Unit::Ratio => Some(ReferenceUnit::Ratios),
                _ => None,
            };
            let kind = match family.descriptor.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Histogram => MetricType::Histogram,
                Kind::Gauge | Kind::UpDownCounter => MetricType::Gauge,
            };
            let name = family.descriptor.name.replace('.', "_");
            // Its `Ratios` has another spelling than the rules.
            let (name, unit) = match unit {
                Some(ReferenceUnit::Ratios) => (format!("{name}_ratio"), None),
                unit => (name, unit),
            };
            let help = family.descriptor.help;
            let mut metric = encoder.encode_descriptor(&name, help, unit.as_ref(), kind)?;
            for point in &family.points {
                let identity = point.resource.identity.iter();
                let labels: Vec<_> = identity
                    .chain(point.attributes.iter())
                    .map(|(name, value)| (name.replace('.', "_"), value.to_string()))
                    .collect();
                let mut series = metric.encode_family(&labels)?;
                match (&point.value, kind) {
                    (Value::Integer(number), MetricType::Counter) => {
                        ConstCounter::new(*number).encode(series)?;
                    }
                    (Value::Float(number), MetricType::Counter) => {
                        ConstCounter::new(*number).encode(series)?;
                    }
                    (Value::Integer(number), _) => ConstGauge::new(*number).encode(series)?,
                    (Value::Float(number), _) => ConstGauge::new(*number).encode(series)?,
                    (Value::Histogram(histogram), _) => {
                        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
                        let buckets: Vec<_> = bounds.zip(histogram.counts.clone()).collect();
                        let count = histogram.count();
                        series.encode_histogram::<[(&str, &str); 0]>(
                            histogram.sum,
                            count,
                            &buckets,
                            None,
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Names, labels (`le` as a number, which the reference spells in its own way) and values.
type Read = Vec<(String, Vec<(String, String)>, u64)>;

/// Samples with labels only: the reference doesn't escape help texts, so a help of several lines
/// leaves pieces that are none. It knows no `target_info` either.
fn read(body: &str) -> Read {
    let mut all = Vec::new();
    let samples = body
        .lines()
        .filter(|line| line.contains('{') && !line.starts_with('#'));
    for line in samples.filter(|line| !line.starts_with("target_info")) {
        let (series, value) = line.rsplit_once(' ').expect("value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("end of the labels");
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        let mut pairs: Vec<(String, String)> = pairs
            .map(|(name, value)| {
                let value = value.trim_matches('"');
                let number = value.parse::<f64>().ok().filter(|_| name == "le");
                let value = number.map_or(value.to_owned(), |number| number.to_string());
                (name.to_owned(), value)
            })
            .collect();
        pairs.sort();
        all.push((
            name.to_owned(),
            pairs,
            value.parse::<f64>().expect("number").to_bits(),
        ));
    }
    all.sort();
    all
}

proptest! {
    #[test]
    fn open_metrics_reads_like_the_reference(
        integers in prop::collection::vec(0_u64..1 << 53, 1..5),
        floats in prop::collection::vec(any::<f64>().prop_filter("finite", |f| f.is_finite()), 1..5),
        counts in prop::collection::vec(0_u64..1 << 40, 4),
    ) {
        let mut collector = sample::collector();
        let resource = sample::service("cart", "a");
        for (index, number) in integers.iter().enumerate() {
            let attributes: Attributes = [("cpu.id", index.to_string().into())].into();
            collector.push_for(&IO, Arc::clone(&resource), attributes.clone(), Value::Integer(*number));
            collector.push_for(&ACTIVE, Arc::clone(&resource), attributes.clone(), Value::Integer(*number));
            let value = sample::histogram(&[0.000_001_024, 0.25, 1e6], &counts, 0.5);
            collector.push_for(&DURATION, Arc::clone(&resource), attributes, value);
        }
        for (index, number) in floats.iter().enumerate() {
            let attributes: Attributes = [("cpu.id", index.to_string().into())].into();
            collector.push(&UTILIZATION, attributes.clone(), Value::Float(*number));
            collector.push(&sample::CPU, attributes, Value::Float(number.abs()));
        }
        let snapshot = collector.finish(sample::time());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Reference(snapshot.families.clone())));
        let mut reference = String::new();
        prometheus_client::encoding::text::encode(&mut reference, &registry).unwrap();
        let ours = String::from_utf8(encode(&snapshot, Format::OpenMetrics).body).unwrap();
        prop_assert_eq!(read(&ours), read(&reference));
    }
}
