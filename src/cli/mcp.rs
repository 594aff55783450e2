//! `dhakira mcp`: serves an AI client over standard input and output.

use anyhow::Context as _;
use clap::Args;

use crate::client::Client;
use crate::facades::FacadeTable;
use crate::facades::mcp::serve_stdio;

use super::lookup::Choice;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use super::serve::TRAIN_IDLE;

/// Serve an AI client over standard input and output, by the Model Context Protocol (MCP).
///
/// The client starts this command itself and ends it by closing its standard input. Its tools: `list_memories`, `context_pack` (all
/// that helps to translate one segment), lookup, search, align, check, and save with --allow-writes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Mcp {
    #[command(flatten)]
    place: Place,
    /// A memory to offer, with points to deduct from its matches instead of its default; may be repeated. All that can be read when
    /// not given.
    #[arg(long, short, value_name = "NAME[:POINTS]")]
    memory: Vec<Choice>,
    /// Also offer to save translations; without it, nothing can be changed.
    #[arg(long)]
    allow_writes: bool,
}

const EXAMPLES: &str = "Claude Code:

  claude mcp add dhakira -- dhakira mcp --data /path/to/dhakira-data

Other clients, in their JSON configuration (Claude Desktop: claude_desktop_config.json, Cursor: .cursor/mcp.json):

  {\"mcpServers\": {\"dhakira\": {\"command\": \"dhakira\", \"args\": [\"mcp\", \"--server\", \"http://127.0.0.1:50051\"],
    \"env\": {\"DHAKIRA_TOKEN\": \"dhk_…\"}}}}

A data directory can be open in one process only: while `dhakira serve` has it open, use --server.";

impl Mcp {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut settings = FacadeTable::default().mcp;
        settings.memories = self.memory.into_iter().map(|choice| choice.0).collect();
        settings.writes = self.allow_writes;
        let serving = "serving standard input and output";
        if self.place.is_remote() {
            let client = self.place.client("mcp", MissingData::Refuse).await?;
            serve_stdio(client, settings).await.context(serving)?;
            return Ok(Outcome::Done);
        }
        let api = self.place.api("mcp", MissingData::Refuse).await?;
        let client = Client::local(&api);
        // Trains the lexicons that link words, so that calls need not wait for them.
        let training = tokio::spawn(async move { api.train_when_idle(TRAIN_IDLE).await });
        let served = serve_stdio(client, settings).await;
        training.abort();
        served.context(serving)?;
        Ok(Outcome::Done)
    }
}
