//! Risk: a call on units answers for another unit, page or memory than asked, or an error does not name its field.
//!
//! The calls over gRPC; what they do to a memory is compared with models in `saving` and `matching_units`.

use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Clients, TestServer, proto, unit};

const M: &str = "memories/m";

async fn server() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    (server, clients)
}

/// Arabic letters by number, so that every unit has a source of its own.
fn source(number: u32) -> String {
    let letter = |it: u32| char::from_u32(0x628 + it).unwrap();
    format!("\u{643}{}{}", letter(number % 20), letter(number / 20))
}

fn by(author: &str) -> Option<proto::UnitFilter> {
    let author = proto::StringCondition { any_of: vec![author.to_owned()], none_of: Vec::new() };
    Some(proto::UnitFilter { author: Some(author), ..Default::default() })
}

/// Creates units 1 to `count`, of two authors by turns.
async fn fill(clients: &mut Clients, count: u32) -> Vec<proto::Unit> {
    let units = (1..=count).map(|number| proto::Unit {
        author: ["amal", "sara"][(number % 2) as usize].to_owned(),
        ..unit(&source(number), &format!("word {number}"))
    });
    let request = proto::BatchCreateUnitsRequest {
        parent: M.into(),
        units: units.collect(),
        ..Default::default()
    };
    let answer = clients.units.batch_create_units(request).await.unwrap().into_inner();
    assert!(answer.outcomes.iter().all(|it| *it == proto::UnitOutcome::Stored as i32));
    answer.units
}

fn name(number: u32) -> String {
    format!("{M}/units/{number}")
}

fn fails<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, field: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert!(status.get_details_error_info().is_some(), "{status}");
    let violation = status.get_details_bad_request();
    let named = violation.and_then(|it| it.field_violations.into_iter().next());
    assert_eq!(named.map(|it| it.field).unwrap_or_default(), field, "{status}");
}

#[tokio::test]
async fn saving_twice_is_one_unit() {
    let (_server, mut clients) = server().await;
    let mut save = async |text: &str, policy: proto::DuplicatePolicy| {
        let request = proto::CreateUnitRequest {
            parent: M.into(),
            unit: Some(unit(&source(1), text)),
            duplicate_policy: policy.into(),
            ..Default::default()
        };
        let answer = clients.units.create_unit(request).await.unwrap().into_inner();
        let outcome = answer.outcome();
        (answer.unit.unwrap(), outcome)
    };
    use proto::{DuplicatePolicy as Policy, UnitOutcome as Outcome};
    let (first, outcome) = save("yes", Policy::Unspecified).await;
    assert_eq!(outcome, Outcome::Stored);
    assert_eq!(save("yes", Policy::Unspecified).await, (first.clone(), Outcome::Duplicate));
    assert_eq!(save("yes", Policy::SkipIdentical).await, (first.clone(), Outcome::Duplicate));
    let (joined, outcome) = save("sure", Policy::SkipIdentical).await;
    assert_eq!((joined.name, outcome), (name(2), Outcome::Stored));
    let (replaced, outcome) = save("indeed", Policy::ReplaceSameSource).await;
    assert_eq!((replaced.name, replaced.revision, outcome), (name(2), 2, Outcome::Replaced));
    let (kept, outcome) = save("yes", Policy::KeepAll).await;
    assert_eq!((kept.name, outcome), (name(3), Outcome::Stored));
    assert_ne!(kept.etag, "");
}

#[tokio::test]
async fn batches_name_the_place_of_an_error() {
    let (_server, mut clients) = server().await;
    let units = fill(&mut clients, 4).await;
    let get = |parent: &str, names: &[&str]| proto::BatchGetUnitsRequest {
        parent: parent.into(),
        names: names.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    let (third, first) = (name(3), name(1));
    let found = clients.units.batch_get_units(get(M, &[&third, &first])).await.unwrap();
    assert_eq!(found.into_inner().units, [units[2].clone(), units[0].clone()]);
    let missing = clients.units.batch_get_units(get(M, &[&first, &name(9)])).await;
    let status = missing.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_details_resource_info().unwrap().resource_name, name(9));
    for (parent, names, field) in [
        (M, vec![first.as_str(), "memories/n/units/1"], "names[1]"),
        (M, vec!["1"], "names[0]"),
        (M, vec![], "names"),
        ("m", vec![first.as_str()], "parent"),
    ] {
        let answer = clients.units.batch_get_units(get(parent, &names)).await;
        fails(answer, Code::InvalidArgument, field);
    }
    let update = |number: u32, text: &str, etag: &str| proto::UpdateUnitRequest {
        unit: Some(proto::Unit {
            name: name(number),
            etag: etag.to_owned(),
            ..unit(&source(number), text)
        }),
        update_mask: Some(FieldMask { paths: vec!["target.text".into()] }),
        ..Default::default()
    };
    let batch = |requests: Vec<proto::UpdateUnitRequest>| proto::BatchUpdateUnitsRequest {
        parent: M.into(),
        requests,
        ..Default::default()
    };
    let empty = batch(vec![update(1, "a", ""), update(2, "", "")]);
    let empty = clients.units.batch_update_units(empty).await;
    fails(empty, Code::InvalidArgument, "requests[1].unit.target.text");
    let stale = batch(vec![update(1, "a", ""), update(2, "b", "0")]);
    fails(clients.units.batch_update_units(stale).await, Code::Aborted, "");
    let own_id = proto::UpdateUnitRequest {
        request_id: "01890a5d-ac96-774b-bcce-b302099a8001".into(),
        ..update(1, "a", "")
    };
    let own_id = clients.units.batch_update_units(batch(vec![own_id])).await;
    fails(own_id, Code::InvalidArgument, "requests[0].request_id");
    let good = batch(vec![update(2, "b", &units[1].etag), update(1, "a", "")]);
    let changed = clients.units.batch_update_units(good).await.unwrap().into_inner().units;
    let seen: Vec<_> = changed.iter().map(|it| (it.name.clone(), it.revision)).collect();
    assert_eq!(seen, [(name(2), 2), (name(1), 2)]);
    assert_ne!(changed[0].etag, units[1].etag);

    let delete = |numbers: &[u32]| proto::BatchDeleteUnitsRequest {
        parent: M.into(),
        names: numbers.iter().map(|it| name(*it)).collect(),
        ..Default::default()
    };
    let twice = clients.units.batch_delete_units(delete(&[1, 1])).await;
    fails(twice, Code::InvalidArgument, "names[1]");
    clients.units.batch_delete_units(delete(&[1, 4])).await.unwrap();
    fails(clients.units.batch_delete_units(delete(&[2, 4])).await, Code::NotFound, "");
}

#[tokio::test]
async fn lists_are_ordered_filtered_and_bound_to_their_request() {
    let (_server, mut clients) = server().await;
    fill(&mut clients, 30).await;
    for (number, count) in [(4, 2), (7, 9), (6, 2)] {
        let uses = vec![proto::UnitUse { name: name(number), count, use_time: None }];
        let request =
            proto::RecordUnitUsesRequest { parent: M.into(), uses, request_id: String::new() };
        let used = clients.units.record_unit_uses(request).await.unwrap().into_inner().units;
        assert_eq!((used[0].use_count, used[0].last_use_time.is_some()), (count.into(), true));
    }
    let list = |order_by: &str, filter: Option<proto::UnitFilter>| proto::ListUnitsRequest {
        parent: M.into(),
        page_size: 4,
        filter,
        order_by: order_by.to_owned(),
        ..Default::default()
    };
    let mut all = async |mut request: proto::ListUnitsRequest| {
        let mut names = Vec::new();
        loop {
            let page = clients.units.list_units(request.clone()).await.unwrap().into_inner();
            names.extend(page.units.into_iter().map(|unit| unit.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return names;
            }
        }
    };
    let rising: Vec<_> = (1..=30).map(name).collect();
    assert_eq!(all(list("", None)).await, rising);
    let even: Vec<_> = (1..=15).map(|it| name(2 * it)).collect();
    assert_eq!(all(list("", by("amal"))).await, even);
    let used = all(list("use_count desc", None)).await;
    assert_eq!(used[..4], [name(7), name(4), name(6), name(1)]);
    assert_eq!(used.len(), 30);
    assert_eq!(all(list("last_use_time desc", by("amal"))).await[..2], [name(6), name(4)]);
    let page = clients.units.list_units(list("use_count", None)).await.unwrap().into_inner();
    for other in [list("use_count desc", None), list("use_count", by("amal")), list("", None)] {
        let request = proto::ListUnitsRequest { page_token: page.next_page_token.clone(), ..other };
        fails(clients.units.list_units(request).await, Code::InvalidArgument, "page_token");
    }
    for wrong in ["author", "use_count asc", "use_count, create_time"] {
        let answer = clients.units.list_units(list(wrong, None)).await;
        fails(answer, Code::InvalidArgument, "order_by");
    }
}

#[tokio::test]
async fn a_change_by_filter_takes_a_count_and_its_token() {
    let (_server, mut clients) = server().await;
    fill(&mut clients, 30).await;
    let delete = |author: &str, token: &str| proto::DeleteMatchingUnitsRequest {
        parent: M.into(),
        filter: by(author),
        confirmation_token: token.to_owned(),
        request_id: String::new(),
    };
    let update = |author: &str, token: &str| proto::UpdateMatchingUnitsRequest {
        parent: M.into(),
        filter: by("sara"),
        unit: Some(proto::Unit { author: author.to_owned(), ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["author".into()] }),
        confirmation_token: token.to_owned(),
        request_id: String::new(),
    };
    let counted = clients.units.update_matching_units(update("zaid", "")).await.unwrap();
    let counted = counted.into_inner();
    assert_eq!((counted.matching_count, counted.changed_count), (15, 0));
    assert!((1..=15).contains(&counted.sample.len()));
    assert!(counted.sample.iter().all(|unit| unit.author == "sara"));
    let token = counted.confirmation_token;
    // Another change, another filter, another call, a forged one.
    let answer = clients.units.update_matching_units(update("omar", &token)).await;
    fails(answer, Code::InvalidArgument, "confirmation_token");
    let answer = clients.units.delete_matching_units(delete("sara", &token)).await;
    fails(answer, Code::InvalidArgument, "confirmation_token");
    let answer = clients.units.update_matching_units(update("zaid", "00")).await;
    fails(answer, Code::InvalidArgument, "confirmation_token");
    for _ in 0..2 {
        let changed = clients.units.update_matching_units(update("zaid", &token)).await.unwrap();
        let changed = changed.into_inner();
        assert_eq!((changed.matching_count, changed.changed_count), (15, 15));
        assert!(changed.sample.is_empty() && changed.confirmation_token.is_empty());
    }
    let none = clients.units.delete_matching_units(delete("sara", "")).await.unwrap().into_inner();
    assert_eq!(none, proto::DeleteMatchingUnitsResponse::default());
    let stale = clients.units.delete_matching_units(delete("zaid", "")).await.unwrap().into_inner();
    let request = proto::DeleteUnitRequest { name: name(1), ..Default::default() };
    clients.units.delete_unit(request).await.unwrap();
    let answer =
        clients.units.delete_matching_units(delete("zaid", &stale.confirmation_token)).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "MATCHES_CHANGED");
    let again = clients.units.delete_matching_units(delete("zaid", "")).await.unwrap().into_inner();
    let done = delete("zaid", &again.confirmation_token);
    let done = clients.units.delete_matching_units(done).await.unwrap().into_inner();
    assert_eq!((done.matching_count, done.deleted_count), (14, 14));

    let bad = |change: fn(&mut proto::UpdateMatchingUnitsRequest)| {
        let mut request = update("zaid", "");
        change(&mut request);
        request
    };
    for (request, field) in [
        (bad(|it| it.filter = None), "filter"),
        (bad(|it| it.filter = Some(proto::UnitFilter::default())), "filter"),
        (bad(|it| it.unit = None), "unit"),
        (bad(|it| it.unit.as_mut().unwrap().name = name(1)), "unit.name"),
        (bad(|it| it.update_mask = None), "update_mask"),
        (bad(|it| it.update_mask.as_mut().unwrap().paths = vec!["target".into()]), "update_mask"),
        (bad(|it| it.update_mask.as_mut().unwrap().paths = vec!["*".into()]), "update_mask"),
        (bad(|it| it.request_id = "01890a5d-ac96-774b-bcce-b302099a8001".into()), "request_id"),
    ] {
        let answer = clients.units.update_matching_units(request).await;
        fails(answer, Code::InvalidArgument, field);
    }
}

#[tokio::test]
async fn a_history_is_listed_in_pages_and_rolled_back() {
    let (_server, mut clients) = server().await;
    let first = fill(&mut clients, 1).await.remove(0);
    for number in 2..=5 {
        let request = proto::UpdateUnitRequest {
            unit: Some(proto::Unit {
                name: name(1),
                ..unit(&source(1), &format!("word {number}"))
            }),
            update_mask: Some(FieldMask { paths: vec!["target".into()] }),
            ..Default::default()
        };
        clients.units.update_unit(request).await.unwrap();
    }
    let list = |page_token: String| proto::ListUnitRevisionsRequest {
        name: name(1),
        page_size: 2,
        page_token,
        ..Default::default()
    };
    let (mut revisions, mut token) = (Vec::new(), String::new());
    loop {
        let page = clients.units.list_unit_revisions(list(token)).await.unwrap().into_inner();
        revisions.extend(page.units);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let seen: Vec<_> = revisions.iter().map(|it| it.revision).collect();
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    assert_eq!(revisions[4], first);
    let rollback = |revision: i64, etag: &str| proto::RollbackUnitRequest {
        name: name(1),
        revision,
        etag: etag.to_owned(),
        ..Default::default()
    };
    fails(clients.units.rollback_unit(rollback(1, &first.etag)).await, Code::Aborted, "");
    fails(clients.units.rollback_unit(rollback(0, "")).await, Code::InvalidArgument, "revision");
    let gone = clients.units.rollback_unit(rollback(99, "")).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert!(gone.message().contains("no revision 99"), "{gone}");
    let etag = revisions[0].etag.clone();
    let back = clients.units.rollback_unit(rollback(1, &etag)).await.unwrap().into_inner();
    let back = back.unit.unwrap();
    assert_eq!((back.revision, &back.target), (6, &first.target));
}

#[tokio::test]
async fn etags_of_memories_guard_them() {
    let (_server, mut clients) = server().await;
    let get = || proto::GetMemoryRequest { name: M.into() };
    let memory = clients.memories.get_memory(get()).await.unwrap().into_inner().memory.unwrap();
    let update = |etag: &str, text: &str| proto::UpdateMemoryRequest {
        memory: Some(proto::Memory {
            name: M.into(),
            description: text.to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    clients.memories.update_memory(update(&memory.etag, "a")).await.unwrap();
    let stale = clients.memories.update_memory(update(&memory.etag, "b")).await;
    fails(stale, Code::Aborted, "");
    let delete = |etag: &str| proto::DeleteMemoryRequest {
        name: M.into(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    fails(clients.memories.delete_memory(delete(&memory.etag)).await, Code::Aborted, "");
    let memory = clients.memories.get_memory(get()).await.unwrap().into_inner().memory.unwrap();
    clients.memories.delete_memory(delete(&memory.etag)).await.unwrap();
}
