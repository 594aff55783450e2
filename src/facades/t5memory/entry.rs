//! Single entries: their form in answers, and the calls that save, read and delete one.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::MemoryInfo;
use crate::engine::{DuplicatePolicy, UnitOutcome};
use crate::unit::{Unit, UnitContent, UnitId};

use super::super::times::basic;
use super::super::visit::Visit;
use super::fault::Fault;
use super::fields::Fields;
use super::tags;

/// The table of markup that translate5 names; there is no other here.
const MARKUP_TABLE: &str = "OTMXUXLF";
/// What an entry is that a person wrote.
const MANUAL: &str = "Manual";
/// The attribute of a unit that holds another type of entry.
const TYPE_ATTRIBUTE: &str = "t5memory-type";
/// The attribute with what a client adds to an entry.
pub(super) const MORE_ATTRIBUTE: &str = "t5memory-info";
/// The attributes with the exact languages of a unit, as imports set them.
const LANG_ATTRIBUTES: [&str; 2] = ["source-lang", "target-lang"];

/// A unit as t5memory writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    source: String,
    target: String,
    segment_id: u64,
    custom_id: &'static str,
    document_name: String,
    source_lang: String,
    target_lang: String,
    #[serde(rename = "type")]
    kind: String,
    author: String,
    timestamp: String,
    markup_table: &'static str,
    context: String,
    additional_info: String,
    internal_key: String,
}

impl Entry {
    /// An entry whose texts have their own tags.
    pub(super) fn new(memory: &MemoryInfo, unit: Unit) -> Self {
        let texts = (tags::write(&unit.content.source), tags::write(&unit.content.target));
        Self::with_texts(memory, unit, texts)
    }

    /// An entry with texts in another form.
    pub(super) fn with_texts(
        memory: &MemoryInfo,
        unit: Unit,
        (source, target): (String, String),
    ) -> Self {
        let id = unit.id.0;
        let context = unit.content.context_key().unwrap_or_default().to_owned();
        let unit = unit.content;
        let attribute = |name: &str| unit.attributes.get(name).cloned();
        let [source_lang, target_lang] = LANG_ATTRIBUTES.map(attribute);
        Self {
            source,
            target,
            segment_id: id,
            custom_id: "",
            source_lang: source_lang.unwrap_or_else(|| memory.source_lang.to_string()),
            target_lang: target_lang.unwrap_or_else(|| memory.target_lang.to_string()),
            kind: attribute(TYPE_ATTRIBUTE).unwrap_or_else(|| MANUAL.to_owned()),
            timestamp: basic(unit.changed.unwrap_or_default()),
            markup_table: MARKUP_TABLE,
            context,
            additional_info: attribute(MORE_ATTRIBUTE).unwrap_or_default(),
            internal_key: format!("{id}:1"),
            document_name: unit.document,
            author: unit.author,
        }
    }

    /// The answer to a call that is about this entry.
    fn answer(&self) -> Value {
        let mut answer = serde_json::to_value(self).unwrap_or_default();
        answer["ReturnValue"] = 0.into();
        answer["ErrorMsg"] = "".into();
        answer
    }
}

/// Saves an entry. An entry of the same source and context gets the new target, unless the client keeps all of them.
pub(super) async fn save(visit: &mut Visit, memory: &MemoryInfo) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let content = content(&fields, memory)?;
    let policy = policy(&fields);
    let origin = content.clone();
    let saved = visit.client.save_units(&memory.name, vec![content], policy, Uuid::new_v4());
    let saved = saved.await?.into_iter().next();
    let (mut unit, outcome) = saved.ok_or_else(|| Fault::bad_request("nothing was saved"))?;
    let stored = &unit.content;
    let is_newer = origin.changed.is_some_and(|time| Some(time) > stored.changed)
        || (&stored.author, &stored.document) != (&origin.author, &origin.document);
    if outcome == UnitOutcome::Duplicate && is_newer {
        // The same texts, confirmed by somebody else, later, or for another document.
        let updated = visit.client.update_origin(&memory.name, unit.id, origin, Uuid::new_v4());
        unit = updated.await?;
    }
    Ok(Entry::new(memory, unit).answer())
}

/// What becomes of entries with the same source.
pub(super) fn policy(fields: &Fields) -> DuplicatePolicy {
    if fields.flag("saveDifferentTargetsForSameSource") {
        DuplicatePolicy::SkipIdentical
    } else {
        DuplicatePolicy::ReplaceSameSource
    }
}

fn content(fields: &Fields, memory: &MemoryInfo) -> Result<UnitContent, Fault> {
    let mut content = UnitContent {
        source: tags::read("source", fields.required("source")?)?,
        target: tags::read("target", fields.required("target")?)?,
        document: fields.text("documentName").to_owned(),
        author: fields.text("author").to_owned(),
        changed: fields.time("timeStamp")?,
        context_id: fields.text("context").to_owned(),
        ..UnitContent::default()
    };
    let langs = [
        ("sourceLang", &memory.source_lang, LANG_ATTRIBUTES[0]),
        ("targetLang", &memory.target_lang, LANG_ATTRIBUTES[1]),
    ];
    for (field, of_memory, attribute) in langs {
        let Some(lang) = fields.lang(field)? else { continue };
        if !of_memory.accepts(&lang) {
            let what = format!("the field {field} is {lang}, and the memory is for {of_memory}");
            return Err(Fault::bad_request(&what));
        }
        if lang != *of_memory {
            content.attributes.insert(attribute.to_owned(), lang.to_string());
        }
    }
    let kind = fields.text("type").trim();
    let info = [fields.text("addInfo"), fields.text("additionalInfo")];
    let info = info.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let kind = if kind == MANUAL { "" } else { kind };
    for (attribute, value) in [(TYPE_ATTRIBUTE, kind), (MORE_ATTRIBUTE, info)] {
        if !value.is_empty() {
            content.attributes.insert(attribute.to_owned(), value.to_owned());
        }
    }
    Ok(content)
}

/// Reads an entry by its key.
pub(super) async fn get(visit: &mut Visit, memory: &MemoryInfo) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let unit = unit_of_key(visit, memory, &fields).await?;
    Ok(Entry::new(memory, unit).answer())
}

/// Deletes an entry by its key.
pub(super) async fn delete(visit: &mut Visit, memory: &MemoryInfo) -> Result<Value, Fault> {
    let fields = Fields::of(visit).await?;
    let unit = unit_of_key(visit, memory, &fields).await?;
    visit.client.delete_unit(&memory.name, unit.id, Uuid::new_v4()).await?;
    let mut answer = Entry::new(memory, unit).answer();
    answer["fileFlushed"] = json!(1);
    Ok(answer)
}

async fn unit_of_key(
    visit: &mut Visit,
    memory: &MemoryInfo,
    fields: &Fields,
) -> Result<Unit, Fault> {
    let missing = || Fault::bad_request("the field recordKey is missing");
    let key = fields.number("recordKey")?.ok_or_else(missing)?;
    let target = fields.number("targetKey")?.unwrap_or(1);
    let segment = fields.number("segmentId")?.filter(|&id| id > 0);
    let none = || Fault::not_found(&format!("there is no entry {key}:{target} in this memory"));
    if target != 1 || segment.is_some_and(|segment| segment != key) {
        return Err(none());
    }
    let found = visit.client.get_units(&memory.name, &[UnitId(key)]).await;
    match found {
        Ok(units) => units.into_iter().next().ok_or_else(none),
        Err(error) if error.is_not_found() => Err(none()),
        Err(error) => Err(error.into()),
    }
}
