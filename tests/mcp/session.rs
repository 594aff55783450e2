//! A client that writes lines to the program, and reads the lines of its answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::command_line::program;

/// A client that writes lines and reads lines.
pub(super) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    calls: u64,
}

impl Session {
    /// Starts the program.
    pub(super) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = program(directory, &[&["mcp"], arguments].concat());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output, calls: 0 }
    }

    /// Starts the program and agrees on a version.
    pub(super) fn open(directory: &Path, arguments: &[&str]) -> Self {
        let mut session = Self::start(directory, arguments);
        session.initialize("2025-11-25");
        session
    }

    pub(super) fn initialize(&mut self, version: &str) -> Value {
        let client = json!({"name": "by-hand", "version": "1"});
        let answer = self.request(
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}),
        );
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        answer
    }

    pub(super) fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    pub(super) fn read(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the output ended");
        serde_json::from_str(&line).unwrap()
    }

    pub(super) fn request(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request.to_string());
        let answer = self.read();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(id)), "{answer}");
        answer
    }

    /// Calls a tool; whether it failed, its text and its data.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> (bool, String, Value) {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{answer}")).to_owned();
        (result["isError"] == json!(true), text, result["structuredContent"].clone())
    }

    /// Calls a tool that succeeds.
    pub(super) fn tool(&mut self, tool: &str, arguments: Value) -> (String, Value) {
        let (failed, text, data) = self.call(tool, arguments);
        assert!(!failed, "{text}");
        (text, data)
    }

    /// Calls a tool that fails; its text.
    pub(super) fn failure(&mut self, tool: &str, arguments: Value) -> String {
        let (failed, text, data) = self.call(tool, arguments);
        assert!(failed && data.is_null(), "{text}");
        text
    }

    /// Closes standard input; the program ends by itself, and writes nothing more.
    pub(super) fn close(mut self) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.child.wait().unwrap().success());
    }
}
