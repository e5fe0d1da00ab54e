//! A server, and a place for the sets and the history of one test.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testkit::{Scratch, Server, ServerOptions};

use super::{Ended, innoclone, run};

/// Everything a test touches; removed with it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) dir: Scratch,
}

impl World {
    pub(crate) fn new() -> Self {
        let server = Server::start(ServerOptions::default()).unwrap();
        let dir = Scratch::new().unwrap();
        Self { server, dir }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// A command that talks to the server as root over its socket.
    pub(crate) fn to_server(&self, words: &[&str]) -> Command {
        let mut command = innoclone(&self.state_dir());
        let socket = format!("--socket={}", self.server.socket().display());
        command.args(words).arg(socket).arg("--user=root");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        run(&mut self.to_server(words))
    }

    /// A command that needs no server.
    pub(crate) fn run_alone(&self, words: &[&str]) -> Ended {
        run(innoclone(&self.state_dir()).args(words))
    }

    pub(crate) fn history(&self) -> Vec<Value> {
        let ended = self.run_alone(&["history", "--json"]).expect(0);
        ended.json()["history"].as_array().unwrap().clone()
    }
}
