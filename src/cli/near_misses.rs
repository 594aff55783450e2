//! Suggests what was probably meant by a name that does not exist.
//!
//! Names of flags and their fixed values are suggested by clap; this is for the names of memories and settings.

use std::cell::OnceCell;

use tonic::Code;

use crate::client::{Client, ClientError};
use crate::unit::MemoryName;

use super::outcome::{WayOut, message};

/// Memories that a message lists; with more, the list would hide what it says.
const LISTED_MAX: usize = 8;

tokio::task_local! {
    /// The client of the command that runs, which knows the memories.
    static CLIENT: OnceCell<Client>;
}

/// Runs a command. If it fails because a memory does not exist, its error also says which memory was probably meant, or which ones
/// there are; if the server took no call, it says why.
pub(super) async fn with_suggestions<T>(
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let run = async {
        match command.await {
            Err(error) => Err(with_suggestion(with_way_out(explained(error).await)).await),
            done => done,
        }
    };
    CLIENT.scope(OnceCell::new(), run).await
}

/// The memory among those that a client may see whose name a new one resembles.
pub(super) async fn near_memory(client: &mut Client, name: &MemoryName) -> Option<String> {
    // A caller who may not list them gets no suggestion.
    let memories = client.list_memories().await.ok()?;
    let others = memories.iter().map(|memory| memory.name.as_str());
    nearest(name.as_str(), others.filter(|other| *other != name.as_str())).map(str::to_owned)
}

/// Keeps the client of the command, to ask it for its memories.
pub(super) fn keep_client(client: &Client) {
    // Outside of a command nobody asks; a second client of one command knows the same memories.
    let _ = CLIENT.try_with(|kept| drop(kept.set(client.clone())));
}

/// An error of a connection that is lost, with what is seen at the address of the server now.
async fn explained(error: anyhow::Error) -> anyhow::Error {
    let mut causes = error.chain().map(|cause| cause.downcast_ref::<ClientError>());
    let lost = causes.position(|cause| cause.is_some_and(ClientError::is_lost));
    let Some(before) = lost else { return error };
    let Some(client) = CLIENT.with(|kept| kept.get().cloned()) else { return error };
    let way_out = error.downcast_ref::<WayOut>().map(|WayOut(text)| WayOut(text.clone()));
    let skipped = usize::from(way_out.is_some());
    let contexts = error.chain().take(before).skip(skipped).map(ToString::to_string);
    let contexts: Vec<String> = contexts.collect();
    let cause = match error.downcast::<ClientError>() {
        Ok(cause) => client.explain_lost(cause).await,
        Err(error) => return error,
    };
    let mut error = anyhow::Error::from(cause);
    for context in contexts.into_iter().rev() {
        error = error.context(context);
    }
    let is_lost = error.downcast_ref::<ClientError>().is_some_and(ClientError::is_lost);
    match way_out {
        Some(way_out) => error.context(way_out),
        None if is_lost => error.context(WayOut("run the command again".to_owned())),
        None => error,
    }
}

/// An error of a call that was refused, with the way out by another command or a flag.
fn with_way_out(error: anyhow::Error) -> anyhow::Error {
    let Some(refusal) = error.downcast_ref::<ClientError>() else { return error };
    let way_out = match refusal.code() {
        _ if refusal.is_memory_not_empty() => "--force deletes them too",
        Some(Code::Unauthenticated) => {
            "on the server, `dhakira access-tokens create` makes one, which --token-file or DHAKIRA_TOKEN gives to a command"
        }
        Some(Code::PermissionDenied) => {
            "on the server, `dhakira access-tokens list` shows what each token allows, and `create` makes another one"
        }
        _ => return error,
    };
    error.context(WayOut(way_out.to_owned()))
}

async fn with_suggestion(error: anyhow::Error) -> anyhow::Error {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<ClientError>());
    let Some(name) = causes.find_map(ClientError::missing_memory) else { return error };
    let Some(mut client) = CLIENT.with(|kept| kept.get().cloned()) else { return error };
    // A caller who may not list them learns as much as before.
    let Ok(memories) = client.list_memories().await else { return error };
    let names: Vec<&str> = memories.iter().map(|memory| memory.name.as_str()).collect();
    let suggestion = match nearest(&name, names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => listed(&names, client.is_local()),
    };
    anyhow::anyhow!("{}; {suggestion}", message(&error))
}

/// The error of a command that was not told which memory it is about.
pub(super) async fn no_memory_named(client: &mut Client) -> anyhow::Error {
    let asked = "say of which memory: --memory NAME";
    // A caller who may not list them learns only this.
    let Ok(memories) = client.list_memories().await else { return anyhow::anyhow!(asked) };
    let names: Vec<&str> = memories.iter().map(|memory| memory.name.as_str()).collect();
    anyhow::anyhow!("{asked}; {}", listed(&names, client.is_local()))
}

/// Which memories there are.
fn listed(names: &[&str], is_local: bool) -> String {
    match names {
        [] if is_local => {
            "there are none yet; `dhakira import --memory NAME FILE` creates one".to_owned()
        }
        [] => "no memory is visible to this caller".to_owned(),
        [only] => format!("there is only '{only}'"),
        [first @ .., last] if names.len() <= LISTED_MAX => {
            format!("there are '{}' and '{last}'", first.join("', '"))
        }
        _ => format!("`dhakira memories` lists the {} there are", names.len()),
    }
}

/// The known name that a word is probably meant to be: one that it begins, or that differs in a letter or two.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let near = known.into_iter().filter_map(|name| {
        let lower = name.to_lowercase();
        let distance = strsim::osa_distance(&word, &lower);
        let shorter = letters.min(lower.chars().count());
        // One letter for each three, and never the whole word.
        let is_near = distance < shorter && distance <= (shorter / 3).max(1);
        let is_begun = letters >= 3 && lower.starts_with(&word);
        (is_near || is_begun).then_some((distance, name))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_name_is_near_when_few_letters_differ() {
        let known = ["mine", "news-2024", "law", "n"];
        for (word, expected) in [
            ("mien", Some("mine")),
            ("Mine", Some("mine")),
            ("mines", Some("mine")),
            ("news", Some("news-2024")),
            ("news-2042", Some("news-2024")),
            ("lwa", Some("law")),
            ("m", None),
            ("none-of-them", None),
            ("war", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        // The nearest one, not the first.
        assert_eq!(nearest("laws", ["lawyer", "laws-a", "law"]), Some("law"));
    }
}
