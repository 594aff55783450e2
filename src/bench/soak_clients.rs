//! What do the clients of a soak do? Each one thing, again and again, and it remembers what was acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::client::{Client, ClientError, ImportOrder, NumberedBatch};
use crate::engine::{
    CheckAction, ConcordanceSettings, DuplicatePolicy, ExportQuery, LookupSettings, MemoryChoice,
    NewMemory, QuerySegment, UnitFilter,
};
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{MemoryName, Score, Segment, UnitContent, UnitId};

use super::grow::Random;
use super::measure::{Figures, number};
use super::soak::Written;

/// What all clients share.
pub(super) struct Load {
    pub(super) url: String,
    pub(super) searched: MemoryName,
    pub(super) queries: Vec<QuerySegment>,
    pub(super) pause: Duration,
    pub(super) begin: Instant,
    pub(super) end: Instant,
    /// Passed when every memory is there.
    pub(super) ready: Barrier,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    /// Times of lookups of one segment, by minute.
    lookups: Vec<Vec<Duration>>,
    /// Times of writes, by minute.
    writes: Vec<Vec<Duration>>,
    /// Commits that came twice or out of order.
    watch_faults: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        for (kind, count) in other.calls {
            *self.calls.entry(kind).or_default() += count;
        }
        for (cause, count) in other.errors {
            *self.errors.entry(cause).or_default() += count;
        }
        for (mine, theirs) in [(&mut self.lookups, other.lookups), (&mut self.writes, other.writes)]
        {
            for (minute, times) in theirs.into_iter().enumerate() {
                of_minute(mine, minute).extend(times);
            }
        }
        self.watch_faults += other.watch_faults;
    }

    fn called(&mut self, kind: &'static str) {
        *self.calls.entry(kind).or_default() += 1;
    }

    fn failed(&mut self, kind: &'static str, error: &ClientError) {
        *self.errors.entry(format!("{kind} {}", error.cause())).or_default() += 1;
    }

    pub(super) fn show(self, figures: &mut Figures, time: Duration) {
        let count = |count: u64| number(usize::try_from(count).unwrap_or(usize::MAX));
        let calls: u64 = self.calls.values().sum();
        let errors: u64 = self.errors.values().sum();
        figures.put("calls", count(calls));
        figures.put("calls_per_second", count(calls) / time.as_secs_f64());
        figures.put("errors", count(errors));
        figures.put("error_rate", count(errors) / count(calls.max(1)));
        for (kind, calls) in self.calls {
            figures.put(format!("calls_{kind}"), count(calls));
        }
        for (cause, errors) in self.errors {
            figures.put(format!("errors_{}", cause.replace(' ', "_")), count(errors));
        }
        for (name, minutes) in [("lookup", self.lookups), ("write", self.writes)] {
            for (minute, mut times) in minutes.into_iter().enumerate() {
                times.sort_unstable();
                for (percentile, label) in [(50, "p50"), (99, "p99")] {
                    let place = (times.len() * percentile / 100).min(times.len().saturating_sub(1));
                    let time = times.get(place).map_or(0.0, Duration::as_secs_f64);
                    figures.put(format!("{name}_minute_{:02}_{label}_ms", minute + 1), time * 1e3);
                }
            }
        }
        figures.put("watch_faults", count(self.watch_faults));
    }
}

fn of_minute(minutes: &mut Vec<Vec<Duration>>, minute: usize) -> &mut Vec<Duration> {
    if minutes.len() <= minute {
        minutes.resize_with(minute + 1, Vec::new);
    }
    &mut minutes[minute]
}

/// Units that one import sends.
const IMPORT_UNITS: usize = 2_000;
/// Units after which a memory of imports is deleted and begun anew.
const IMPORTED_UNITS_MAX: usize = 20_000;
/// Units that a writer keeps.
const KEPT_UNITS: usize = 200;

/// One client.
pub(super) struct Worker {
    load: Arc<Load>,
    index: usize,
    random: Random,
    tally: Tally,
    written: BTreeMap<MemoryName, Written>,
    /// Texts that it made: no two are the same.
    made: u64,
    /// What it wrote and has not deleted.
    kept: VecDeque<(UnitId, u64, String)>,
    watched: u64,
}

type Failed = Result<(), ClientError>;

impl Worker {
    pub(super) fn new(load: Arc<Load>, index: usize) -> Self {
        Self {
            load,
            index,
            random: Random::new(index as u64 + 1),
            tally: Tally::default(),
            written: BTreeMap::new(),
            made: 0,
            kept: VecDeque::new(),
            watched: 0,
        }
    }

    /// Works until the time is up; what happened, and what its memories must hold.
    pub(super) async fn work(mut self) -> anyhow::Result<(Tally, BTreeMap<MemoryName, Written>)> {
        let mut client = Client::connect(&self.load.url).await?;
        let own: MemoryName = format!("soak-{}", self.index).parse()?;
        let writes = matches!(self.index % 16, 8..=11);
        if writes {
            self.begin_memory(&mut client, &own).await?;
        }
        self.load.ready.wait().await;
        while Instant::now() < self.load.end {
            let done = match self.index % 16 {
                0..=6 => self.look_up(&mut client).await,
                7 => self.look_up_many(&mut client).await,
                8 | 9 => self.write(&mut client, &own, false).await,
                10 => self.write(&mut client, &own, true).await,
                11 => self.import(&mut client, &own).await,
                12 => self.watch(&mut client).await,
                13 => self.give_up(&mut client).await,
                _ => self.search(&mut client).await,
            };
            if let Err((kind, error)) = done {
                self.tally.failed(kind, &error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(self.load.pause).await;
        }
        Ok((self.tally, self.written))
    }

    fn minute(&self) -> usize {
        usize::try_from(self.load.begin.elapsed().as_secs() / 60).unwrap_or_default()
    }

    fn query(&mut self) -> QuerySegment {
        let place = self.random.below(self.load.queries.len());
        self.load.queries[place].clone()
    }

    fn settings(&self) -> LookupSettings {
        LookupSettings {
            memories: vec![MemoryChoice {
                memory: self.load.searched.clone(),
                penalty: Score::ZERO,
            }],
            min_score: Score::from_points(70.0).unwrap_or(Score::ZERO),
            max_matches: 5,
            exhaustive: false,
            filter: UnitFilter::default(),
        }
    }

    /// A unit that nobody else makes.
    fn new_unit(&mut self) -> UnitContent {
        self.made += 1;
        let text = self.query().segment.text;
        let name = format!("{} {}", self.index, self.made);
        UnitContent {
            source: Segment::plain(format!("{name} {text}")),
            target: Segment::plain(format!("target {name}")),
            ..UnitContent::default()
        }
    }

    fn holds(&mut self, memory: &MemoryName) -> &mut Written {
        self.written.entry(memory.clone()).or_default()
    }

    async fn begin_memory(
        &mut self,
        client: &mut Client,
        memory: &MemoryName,
    ) -> anyhow::Result<()> {
        let new = NewMemory {
            name: memory.clone(),
            display_name: String::new(),
            description: String::new(),
            source_lang: "ar".parse()?,
            target_lang: "en".parse()?,
            unfinished_penalty: None,
        };
        client.create_memory(new).await?;
        self.holds(memory);
        Ok(())
    }

    async fn look_up(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
        let (settings, query) = (self.settings(), self.query());
        let since = Instant::now();
        self.tally.called("lookup");
        client.lookup(&settings, vec![query]).await.map_err(|error| ("lookup", error))?;
        let minute = self.minute();
        of_minute(&mut self.tally.lookups, minute).push(since.elapsed());
        Ok(())
    }

    async fn look_up_many(
        &mut self,
        client: &mut Client,
    ) -> Result<(), (&'static str, ClientError)> {
        let settings = self.settings();
        let queries = (0..50).map(|_| self.query()).collect();
        self.tally.called("batch");
        client.lookup(&settings, queries).await.map(drop).map_err(|error| ("batch", error))
    }

    async fn search(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
        let text = self.query().segment.text;
        // Punctuation alone is no expression.
        let is_word = |word: &&str| word.chars().any(char::is_alphanumeric);
        let words: Vec<&str> = text.split_whitespace().filter(is_word).take(2).collect();
        if words.is_empty() {
            return Ok(());
        }
        let settings = ConcordanceSettings {
            memories: vec![self.load.searched.clone()],
            text: words.join(" "),
            side: Side::Source,
            mode: ConcordanceMode::Phrase,
            word_form: WordForm::Folded,
            filter: UnitFilter::default(),
        };
        self.tally.called("search");
        let page = client.concordance(&settings, 20, String::new()).await;
        page.map(drop).map_err(|error| ("search", error))
    }

    /// Makes, changes or deletes units. Each call is repeated with its request id until it is answered; with `hasty`, it is
    /// given up at some moment first, so that nobody knows whether it was carried out.
    async fn write(
        &mut self,
        client: &mut Client,
        memory: &MemoryName,
        hasty: bool,
    ) -> Result<(), (&'static str, ClientError)> {
        let id = Uuid::new_v4();
        let patience = hasty.then(|| Duration::from_micros(self.random.below(3_000) as u64));
        let since = Instant::now();
        let what = self.random.below(3);
        if self.kept.len() < 10 || (what == 0 && self.kept.len() < KEPT_UNITS) {
            let contents: Vec<UnitContent> =
                (0..=self.random.below(4)).map(|_| self.new_unit()).collect();
            let made = insist(&mut self.tally, "create", patience, || {
                let (mut client, contents) = (client.clone(), contents.clone());
                async move { client.create_units(memory, contents, id).await }
            });
            for unit in made.await.map_err(|error| ("create", error))? {
                let content = unit.content;
                self.kept.push_back((unit.id, unit.revision, content.source.text.clone()));
                self.holds(memory).insert(content.source.text, content.target.text);
            }
        } else if let Some((unit, revision, source)) = self.kept.pop_front() {
            if what == 1 {
                let content = self.new_unit();
                let changed = insist(&mut self.tally, "update", patience, || {
                    let (mut client, content) = (client.clone(), content.clone());
                    async move { client.update_texts(memory, (unit, revision), content, id).await }
                });
                let changed = changed.await.map_err(|error| ("update", error))?;
                let written = self.holds(memory);
                written.remove(&source);
                let text = content.source.text;
                written.insert(text.clone(), content.target.text);
                self.kept.push_back((unit, changed.revision, text));
            } else {
                let deleted = insist(&mut self.tally, "delete", patience, || {
                    let mut client = client.clone();
                    async move { client.delete_unit(memory, unit, id).await }
                });
                deleted.await.map_err(|error| ("delete", error))?;
                self.holds(memory).remove(&source);
            }
        }
        if !hasty {
            let minute = self.minute();
            of_minute(&mut self.tally.writes, minute).push(since.elapsed());
        }
        Ok(())
    }

    /// Imports some units; breaks off half-way now and then and goes on in a new stream.
    async fn import(
        &mut self,
        client: &mut Client,
        memory: &MemoryName,
    ) -> Result<(), (&'static str, ClientError)> {
        let failed = |error| ("import", error);
        if self.holds(memory).len() > IMPORTED_UNITS_MAX {
            client.delete_memory(memory, true).await.map_err(failed)?;
            self.written.remove(memory);
            // The name is free again, and this client alone uses it.
            let begun = self.begin_memory(client, memory).await;
            if let Some(error) = begun.err().and_then(|error| error.downcast::<ClientError>().ok())
            {
                return Err(failed(error));
            }
        }
        let units: Vec<UnitContent> = (0..IMPORT_UNITS).map(|_| self.new_unit()).collect();
        let id = Uuid::new_v4();
        let broken_off = self.random.below(2) == 0;
        if broken_off {
            let most = self.random.below(IMPORT_UNITS / 40) as u64;
            self.tally.called("import_broken_off");
            send(client, memory, id, &units, most).await.map_err(failed)?;
        }
        // Until it is through: what was sent before is not stored again.
        loop {
            self.tally.called("import");
            match send(client, memory, id, &units, u64::MAX).await {
                Ok(()) => break,
                Err(error) => self.tally.failed("import", &error),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let written = self.holds(memory);
        written.extend(units.into_iter().map(|unit| (unit.source.text, unit.target.text)));
        Ok(())
    }

    /// Follows the changes of a writer for a while, and goes on later where it was.
    async fn watch(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
        let failed = |error| ("watch", error);
        // A neighbour that writes.
        let Ok(memory) = format!("soak-{}", self.index - 4).parse::<MemoryName>() else {
            return Ok(());
        };
        self.tally.called("watch");
        let mut commits = client.watch(&memory, self.watched).await.map_err(failed)?;
        let end = Instant::now() + Duration::from_millis(500 + self.random.below(2_500) as u64);
        while let Ok(Some(commit)) = tokio::time::timeout_at(end.into(), commits.next()).await {
            let commit = commit.map_err(failed)?;
            self.tally.watch_faults +=
                u64::from(commit.sequence <= self.watched || commit.changes == 0);
            self.watched = commit.sequence;
        }
        Ok(())
    }

    /// Begins something long and leaves.
    async fn give_up(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
        let time = Duration::from_millis(self.random.below(60) as u64);
        let searched = self.load.searched.clone();
        self.tally.called("given_up");
        let given_up = match self.random.below(3) {
            0 => {
                let settings = LookupSettings { exhaustive: true, ..self.settings() };
                let queries = (0..50).map(|_| self.query()).collect();
                let call = client.lookup(&settings, queries);
                tokio::time::timeout(time, call).await.map(|it| it.map(drop))
            }
            1 => {
                let pages = tokio::time::timeout(time, async {
                    let mut pages = client.export(&searched, ExportQuery::default()).await?;
                    while pages.next().await.transpose()?.is_some() {}
                    Ok(())
                });
                pages.await
            }
            _ => {
                let texts = (0..500).map(|_| self.query().segment).collect();
                let settings = self.settings();
                let pieces = tokio_stream::once(("file".to_owned(), texts));
                let call = client.analyze(&settings, pieces);
                tokio::time::timeout(time, call).await.map(|it| it.map(drop))
            }
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        given_up.unwrap_or(Ok(())).map_err(|error| ("given_up", error))
    }
}

/// Sends an import, or its first batches only, and waits for what it says of them.
async fn send(
    client: &mut Client,
    memory: &MemoryName,
    id: Uuid,
    units: &[UnitContent],
    batches_max: u64,
) -> Failed {
    let batches = NumberedBatch::all(units, 40);
    let order = ImportOrder {
        memory: memory.clone(),
        id,
        policy: DuplicatePolicy::KeepAll,
        check: CheckAction::None,
        verdicts: false,
    };
    let last = batches.len() as u64;
    let mut answers = client.import(order, tokio_stream::iter(batches)).await?;
    let mut acked = 0;
    while let Some(answer) = answers.next().await.transpose()? {
        acked = answer.acked_through;
        if acked >= batches_max {
            return Ok(());
        }
    }
    if acked < last && batches_max == u64::MAX {
        let status = tonic::Status::data_loss("an import ended before it was acknowledged");
        return Err(status.into());
    }
    Ok(())
}

/// Calls until there is an answer; at first for so long only, if at all.
async fn insist<T, F: Future<Output = Result<T, ClientError>>>(
    tally: &mut Tally,
    kind: &'static str,
    patience: Option<Duration>,
    call: impl Fn() -> F,
) -> Result<T, ClientError> {
    if let Some(time) = patience {
        tally.called("write_given_up");
        // Whatever became of it.
        let _ = tokio::time::timeout(time, call()).await;
    }
    let mut tries = 0;
    loop {
        tally.called(kind);
        match call().await {
            Err(error) if tries < 50 => tally.failed(kind, &error),
            answer => return answer,
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
