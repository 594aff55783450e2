//! Risk: a client built for the protocol as it was frozen no longer understands the server.
//!
//! The descriptors of this build are compared with the committed ones, `proto/frozen.binpb`: nothing of them may be gone or changed;
//! what is new is allowed. `buf breaking proto --against proto/frozen.binpb` checks the same, and names more kinds of change.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use dhakira::grpc::DESCRIPTORS;

const FROZEN: &[u8] = include_bytes!("../proto/frozen.binpb");

/// Every name of the protocol, with what clients depend on.
fn promises(descriptors: &FileDescriptorSet) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let ours = descriptors.file.iter().filter(|file| file.package().starts_with("dhakira."));
    for file in ours {
        for message in &file.message_type {
            add_message(file.package(), message, &mut all);
        }
        for of in &file.enum_type {
            add_enum(file.package(), of, &mut all);
        }
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                let kinds = (method.client_streaming(), method.server_streaming());
                let types = (method.input_type(), method.output_type());
                all.insert(name, format!("{types:?}, streams {kinds:?}"));
            }
        }
    }
    all
}

fn add_message(outer: &str, message: &DescriptorProto, all: &mut BTreeMap<String, String>) {
    let name = format!("{outer}.{}", message.name());
    for field in &message.field {
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.map(|index| message.oneof_decl[index as usize].name());
        let promise = format!(
            "{} {:?} {:?} {} in {oneof:?}, optional {}",
            field.number(),
            field.r#type(),
            field.label(),
            field.type_name(),
            field.proto3_optional()
        );
        all.insert(format!("{name}.{}", field.name()), promise);
    }
    message.nested_type.iter().for_each(|nested| add_message(&name, nested, all));
    message.enum_type.iter().for_each(|nested| add_enum(&name, nested, all));
    all.insert(name, "message".to_owned());
}

fn add_enum(outer: &str, of: &EnumDescriptorProto, all: &mut BTreeMap<String, String>) {
    for value in &of.value {
        all.insert(format!("{outer}.{}.{}", of.name(), value.name()), value.number().to_string());
    }
}

/// What is gone or changed.
fn broken(frozen: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    frozen
        .iter()
        .filter(|(name, promise)| now.get(*name) != Some(promise))
        .map(|(name, promise)| format!("{name}: was {promise}, is {:?}", now.get(name)))
        .collect()
}

#[test]
fn nothing_of_the_frozen_protocol_is_gone_or_changed() {
    let frozen = promises(&FileDescriptorSet::decode(FROZEN).unwrap());
    let now = promises(&FileDescriptorSet::decode(DESCRIPTORS).unwrap());
    assert!(frozen.len() > 400, "{} names", frozen.len());
    let broken = broken(&frozen, &now);
    assert!(broken.is_empty(), "clients depend on:\n{}", broken.join("\n"));
}

#[test]
fn every_change_is_noticed() {
    let descriptors = FileDescriptorSet::decode(FROZEN).unwrap();
    let frozen = promises(&descriptors);
    let change = |change: &dyn Fn(&mut DescriptorProto)| {
        let mut changed = descriptors.clone();
        let mut messages = changed.file.iter_mut().flat_map(|file| &mut file.message_type);
        change(messages.find(|it| it.name() == "Unit").unwrap());
        broken(&frozen, &promises(&changed)).len()
    };
    assert_eq!(change(&|_| {}), 0);
    assert_eq!(change(&|unit| unit.field[4].number = Some(99)), 1);
    assert_eq!(change(&|unit| unit.field[4].name = Some("other".into())), 1);
    assert_eq!(change(&|unit| drop(unit.field.remove(4))), 1);
    assert_eq!(change(&|unit| unit.field[4].r#type = Some(5)), 1);
    let added = |unit: &mut DescriptorProto| {
        let mut field = unit.field[4].clone();
        (field.name, field.number) = (Some("new".into()), Some(99));
        unit.field.push(field);
    };
    assert_eq!(change(&added), 0);
}
