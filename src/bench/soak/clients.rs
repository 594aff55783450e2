//! The clients of a soak test: each repeats one kind of call, and remembers what was acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::client::{ChangeFeed, Client, ClientError, ImportOrder, NumberedBatch};
use crate::engine::{
    CheckAction, ConcordanceSettings, DuplicatePolicy, Explain, ExportQuery, LookupSettings,
    MemoryChoice, NewMemory, QuerySegment, UnitFilter, unit_etag,
};
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{MemoryName, Score, Segment, UnitContent, UnitId};

use super::tally::Tally;
use crate::bench::grow::Random;

/// What a memory should hold: targets by sources, each source once.
pub(super) type Written = BTreeMap<String, String>;

/// What all clients share.
pub(super) struct Load {
    pub(super) url: String,
    pub(super) searched: MemoryName,
    pub(super) queries: Vec<QuerySegment>,
    pub(super) pause: Duration,
    pub(super) begin: Instant,
    pub(super) end: Instant,
    /// Passed when every memory exists.
    pub(super) ready: Barrier,
}

/// Units that one import sends.
const IMPORT_UNITS: usize = 2_000;
/// Units after which a memory of imports is deleted and created again.
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
    /// Number of the last text that it made: no two are the same.
    made: u64,
    /// What it wrote and has not deleted: unit, etag and source.
    kept: VecDeque<(UnitId, String, String)>,
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

    /// Works until the time is up; returns the tally, and what its memories must hold.
    pub(super) async fn work(mut self) -> anyhow::Result<(Tally, BTreeMap<MemoryName, Written>)> {
        let mut client = Client::connect(&self.load.url).await?;
        let own: MemoryName = format!("soak-{}", self.index).parse()?;
        let writes = matches!(self.index % 16, 8..=11);
        if writes {
            self.create_memory(&mut client, &own).await?;
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
                13 => self.cancel(&mut client).await,
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
            memories: vec![MemoryChoice { memory: self.load.searched.clone(), penalty: None }],
            min_score: Score::from_points(70.0).unwrap_or(Score::ZERO),
            max_matches: 5,
            exhaustive: false,
            filter: UnitFilter::default(),
            penalty_rules: Vec::new(),
            explain: Explain::default(),
        }
    }

    /// A unit that no other client makes.
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

    async fn create_memory(
        &mut self,
        client: &mut Client,
        memory: &MemoryName,
    ) -> anyhow::Result<()> {
        let new = NewMemory::new(memory.clone(), "ar".parse()?, "en".parse()?);
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
        self.tally.looked_up(minute, since.elapsed());
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

    /// Creates, changes or deletes units. Each call is repeated with its request id until it is answered; with `hasty`, it is
    /// cancelled at a random moment first, so that its effect is unknown.
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
                let etag = unit_etag(&unit);
                let content = unit.content;
                self.kept.push_back((unit.id, etag, content.source.text.clone()));
                self.holds(memory).insert(content.source.text, content.target.text);
            }
        } else if let Some((unit, etag, source)) = self.kept.pop_front() {
            if what == 1 {
                let content = self.new_unit();
                let changed = insist(&mut self.tally, "update", patience, || {
                    let (mut client, content) = (client.clone(), content.clone());
                    let unit = (unit, etag.clone());
                    async move { client.update_texts(memory, unit, content, id).await }
                });
                let changed = changed.await.map_err(|error| ("update", error))?;
                let written = self.holds(memory);
                written.remove(&source);
                let text = content.source.text;
                written.insert(text.clone(), content.target.text);
                self.kept.push_back((unit, unit_etag(&changed), text));
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
            self.tally.wrote(minute, since.elapsed());
        }
        Ok(())
    }

    /// Imports some units; now and then it breaks off half-way and resumes in a new stream.
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
            let begun = self.create_memory(client, memory).await;
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
        // Until it is complete: what was sent before is not stored again.
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

    /// Watches the changes of a writer for a while, and resumes later after the last one.
    async fn watch(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
        let failed = |error| ("watch", error);
        // A neighbour that writes.
        let Ok(memory) = format!("soak-{}", self.index - 4).parse::<MemoryName>() else {
            return Ok(());
        };
        self.tally.called("watch");
        let feed =
            ChangeFeed { memory: Some(memory), after: Some(self.watched), ..ChangeFeed::default() };
        let mut commits = client.watch(&feed).await.map_err(failed)?;
        let end = Instant::now() + Duration::from_millis(500 + self.random.below(2_500) as u64);
        while let Ok(Some(commit)) = tokio::time::timeout_at(end.into(), commits.next()).await {
            let commit = commit.map_err(failed)?;
            let sequence = commit.sequence.0;
            self.tally.watch_faults +=
                u64::from(sequence <= self.watched || commit.changes.is_empty());
            self.watched = sequence;
        }
        Ok(())
    }

    /// Starts a long call and cancels it.
    async fn cancel(&mut self, client: &mut Client) -> Result<(), (&'static str, ClientError)> {
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

/// Sends an import, or its first batches only, and waits for the acknowledgements.
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
        report_outcomes: false,
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

/// Calls until there is an answer; with `patience`, one call is cancelled after that time first.
async fn insist<T, F: Future<Output = Result<T, ClientError>>>(
    tally: &mut Tally,
    kind: &'static str,
    patience: Option<Duration>,
    call: impl Fn() -> F,
) -> Result<T, ClientError> {
    if let Some(time) = patience {
        tally.called("write_given_up");
        // Its outcome is unknown on purpose.
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
