//! The order of a list (AIP-132): `update_time desc`.

use crate::engine::UnitOrder;

use super::FieldViolation;

/// The orders of units, by the names of their fields.
const UNIT_ORDERS: [(&str, UnitOrder); 4] = [
    ("create_time", UnitOrder::Created),
    ("update_time", UnitOrder::Changed),
    ("use_count", UnitOrder::UseCount),
    ("last_use_time", UnitOrder::LastUse),
];

/// What units are ordered by, and whether the greatest come first; by number when empty.
pub(crate) fn unit_order(text: &str) -> Result<(UnitOrder, bool), FieldViolation> {
    let mut words = text.split_whitespace();
    let Some(field) = words.next() else { return Ok((UnitOrder::Number, false)) };
    let order = UNIT_ORDERS.iter().find(|(name, _)| *name == field).map(|(_, order)| *order);
    let descending = match words.next() {
        None => Some(false),
        Some("desc") => Some(true),
        Some(_) => None,
    };
    if let (Some(order), Some(descending), None) = (order, descending, words.next()) {
        return Ok((order, descending));
    }
    let names = UNIT_ORDERS.map(|(name, _)| name).join(", ");
    let what = format!(
        "'{text}' is not an order of units: one of {names}, and ` desc` for the greatest first"
    );
    Err(FieldViolation::new("order_by", what))
}

/// The text of an order, as [`unit_order`] reads it.
pub(crate) fn unit_order_text(order: UnitOrder, descending: bool) -> String {
    let name = UNIT_ORDERS.iter().find(|(_, it)| *it == order).map_or("", |(name, _)| name);
    if descending { format!("{name} desc") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for (_, order) in UNIT_ORDERS {
            for descending in [false, true] {
                let text = unit_order_text(order, descending);
                assert_eq!(unit_order(&text).unwrap(), (order, descending));
                assert_eq!(unit_order(&format!("  {text} ")).unwrap(), (order, descending));
            }
        }
        assert_eq!(unit_order("").unwrap(), (UnitOrder::Number, false));
        for wrong in
            ["desc", "author", "use_count asc", "use_count, create_time", "use_count desc x"]
        {
            assert!(unit_order(wrong).is_err(), "{wrong}");
        }
    }
}
