use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::*;
use crate::{
    aggregate::service::Services,
    metric::{Attributes, Collector, Resource, Value},
};

fn resource(number: u32) -> Arc<Resource> {
    Arc::new(Resource {
        attributes: Attributes::from([("service.name", format!("s{number}").into())]),
        identity: Attributes::none(),
    })
}

fn host() -> Arc<Resource> {
    Arc::new(Resource {
        attributes: Attributes::from([("host.name", "h".into())]),
        identity: Attributes::none(),
    })
}

const LIMITS: Limits = Limits {
    per_service: 3,
    total: 8,
};

fn total(table: &Table<u8, u64>) -> u64 {
    table.iter().map(|(_, value)| *value).sum()
}

proptest! {
    /// Conservation: caps decide where an observation is counted, never whether.
    #[test]
    fn series_and_overflow_add_up_to_what_was_observed(
        observations in proptest::collection::vec((0_u32..9, 0_u8..9), 0..500)
    ) {
        let mut services = Services::new(5);
        let mut table: Table<u8, u64> = Table::new("test", LIMITS);
        for (service, key) in &observations {
            let id = services.id(&resource(*service), || UNIX_EPOCH);
            *table.observe(id, Some(*key)) += 1;
            // One more than the cap: the series that everything falls into at the last.
            prop_assert!(table.len() <= LIMITS.total + 1);
            prop_assert_eq!(table.len(), table.iter().count());
        }
        prop_assert_eq!(total(&table), observations.len() as u64);
        let over: u64 = table
            .iter()
            .filter(|(slot, _)| slot.key().is_none())
            .map(|(_, value)| *value)
            .sum();
        prop_assert_eq!(table.usage().overflowed, over);
    }
}

#[test]
fn a_series_once_given_stays() {
    let mut services = Services::new(1);
    let id = services.id(&resource(0), || UNIX_EPOCH);
    let mut table: Table<u8, u64> = Table::new("test", LIMITS);
    for key in 0..100 {
        *table.observe(id, Some(key)) += 1;
    }
    for _ in 0..5 {
        *table.observe(id, Some(0)) += 1;
    }
    let first = table.iter().find(|(slot, _)| slot.key() == Some(0));
    assert_eq!(first.map(|(_, value)| *value), Some(6));
    assert_eq!(table.usage().overflowed, 97);
}

#[test]
fn room_comes_back_when_a_service_is_gone() {
    let mut services = Services::new(10);
    let mut table: Table<u8, u64> = Table::new("test", LIMITS);
    for service in 0..10 {
        let id = services.id(&resource(service), || UNIX_EPOCH);
        for key in 0..10 {
            *table.observe(id, Some(key)) += 1;
        }
    }
    assert_eq!(total(&table), 100);
    let gone = services.retain(|resource| *resource == *self::resource(9));
    table.forget(&gone);
    // Only what nobody's series held is left; service 9 was among that.
    assert_eq!(table.len(), 1);
    let id = services.id(&resource(9), || UNIX_EPOCH);
    *table.observe(id, Some(0)) += 1;
    assert_eq!(table.len(), 2);
}

#[test]
fn overflow_is_marked_and_belongs_to_whom_it_can() {
    let start = UNIX_EPOCH + Duration::from_secs(1);
    let mut services = Services::new(10);
    let mut table: Table<u8, u64> = Table::new(
        "test",
        Limits {
            per_service: 1,
            total: 2,
        },
    );
    let id = services.id(&resource(0), || start);
    for key in 0..3 {
        *table.observe(id, Some(key)) += 1;
    }
    *table.observe(services.id(&resource(1), || start), Some(0)) += 1;

    let mut collector = Collector::new(host(), UNIX_EPOCH);
    for (slot, value) in table.iter() {
        Series::new(&mut collector, &services, &slot, |key| {
            Attributes::from([("key", i64::from(key).into())])
        })
        .push(&SERIES, Value::Integer(*value));
    }
    let points = collector.finish(start).families.remove(0).points;
    let told: Vec<_> = points
        .iter()
        .map(|point| {
            (
                &point.resource,
                &point.attributes,
                &point.value,
                point.start,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                &resource(0),
                &Attributes::from([("key", 0_i64.into())]),
                &Value::Integer(1),
                start
            ),
            (
                &resource(0),
                &overflow_attributes(),
                &Value::Integer(2),
                start
            ),
            (
                &host(),
                &overflow_attributes(),
                &Value::Integer(1),
                UNIX_EPOCH
            ),
        ]
    );
}

#[test]
fn usage_is_told_by_family() {
    let mut collector = Collector::new(host(), UNIX_EPOCH);
    let usage = Usage {
        family: "http",
        series: 3,
        overflowed: 2,
    };
    collect_usage([usage], &mut collector);
    let families = collector.finish(UNIX_EPOCH).families;
    let values: Vec<_> = families
        .iter()
        .map(|family| (family.descriptor.name, family.points[0].value.clone()))
        .collect();
    assert_eq!(
        values,
        [
            ("sonde.series", Value::Integer(3)),
            ("sonde.series.overflow", Value::Integer(2))
        ]
    );
}

#[test]
fn series_that_are_taken_out_make_room() {
    let mut services = Services::new(5);
    let mut table: Table<u8, u64> = Table::new("test", LIMITS);
    let id = services.id(&resource(1), || UNIX_EPOCH);
    for key in 1..=3 {
        *table.observe(id, Some(key)) += u64::from(key);
    }
    let taken = table.take(|key| key != 2);
    assert_eq!(taken.iter().map(|(_, value)| value).sum::<u64>(), 4);
    assert_eq!(table.len(), 1);
    for key in 2..=4 {
        *table.observe(id, Some(key)) += 10;
    }
    let own: Vec<_> = table
        .iter()
        .map(|(slot, value)| (slot.key(), *value))
        .collect();
    assert_eq!(own, [(Some(2), 12), (Some(3), 10), (Some(4), 10)]);
}
