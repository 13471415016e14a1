//! A delivery as handlers see it.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldTable, ShortString};
use recording::{Delivery, HandOff};

/// Translates; the body is not copied.
pub(super) fn delivery(from: lapin::message::Delivery) -> Delivery {
    let properties = &from.properties;
    let text = |field: &Option<ShortString>| field.as_ref().map(ToString::to_string);
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    Delivery {
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        message_id: text(properties.message_id()),
        routing_key: from.routing_key.to_string(),
        redelivered: from.redelivered,
        dead_lettered: dead_lettered(headers),
        headers: texts(headers),
        body: from.data.into(),
        hand_off: HandOff::default(),
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    if let Some(text) = value.as_long_string() {
        return String::from_utf8(text.as_bytes().to_vec()).ok();
    }
    value.as_short_string().map(ToString::to_string)
}

/// The headers that are text; the others (counts, the death record) are not for handlers.
fn texts(headers: &FieldTable) -> BTreeMap<String, String> {
    headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
        .collect()
}

/// The queue and reason of the first dead-lettering: from the headers made for it, otherwise
/// from the end of the death record, which lists the latest first.
fn dead_lettered(headers: &FieldTable) -> Option<(String, String)> {
    let of = |table: &FieldTable, name: &str| table.inner().get(name).and_then(text);
    let first = of(headers, "x-first-death-queue").zip(of(headers, "x-first-death-reason"));
    first.or_else(|| {
        let deaths = headers.inner().get("x-death")?.as_array()?;
        let oldest = deaths.as_slice().last()?.as_field_table()?;
        of(oldest, "queue").zip(of(oldest, "reason"))
    })
}

#[cfg(test)]
mod tests {
    use lapin::types::{FieldArray, LongString};

    use super::*;

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(LongString::from(text))
    }

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    #[test]
    fn only_text_headers_reach_the_handler() {
        let headers = table(&[
            ("traceparent", long("00-aa-bb-01")),
            ("x-delivery-count", AMQPValue::LongLongInt(3)),
            (
                "broken",
                AMQPValue::LongString(LongString::from(vec![0xff])),
            ),
        ]);
        let texts = texts(&headers);
        assert_eq!(texts.len(), 1);
        assert_eq!(texts["traceparent"], "00-aa-bb-01");
    }

    #[test]
    fn the_first_death_is_taken_from_its_headers_or_from_the_end_of_the_record() {
        let death = |queue: &str| {
            let entries = [("queue", long(queue)), ("reason", long("delivery_limit"))];
            AMQPValue::FieldTable(table(&entries))
        };
        let deaths = FieldArray::from(vec![death("later"), death("first")]);
        let record = ("x-death", AMQPValue::FieldArray(deaths));
        let expected = Some(("first".to_owned(), "delivery_limit".to_owned()));
        assert_eq!(dead_lettered(&table(&[record])), expected);
        let headers = table(&[
            ("x-first-death-queue", long("callferry.transfer")),
            ("x-first-death-reason", long("rejected")),
        ]);
        let expected = Some(("callferry.transfer".to_owned(), "rejected".to_owned()));
        assert_eq!(dead_lettered(&headers), expected);
        assert_eq!(dead_lettered(&FieldTable::default()), None);
    }
}
