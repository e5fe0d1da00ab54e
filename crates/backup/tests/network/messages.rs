//! A network that fails at a message of one's choice: a relay that reads the clone protocol along.
//! It takes connections without TLS.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::clone::{COM_CLONE, Command, Descriptor, Dialect, Response, StageDescriptor};

/// What happens to a message.
pub enum Fate {
    /// Its connection is cut before it.
    Lost,
    /// Its connection is cut within it.
    Torn,
    /// Its connection is cut behind it.
    Last,
    /// It waits: the test hears of it, and lets it go on.
    Held(Sender<()>, Receiver<()>),
}

/// A message, by its name, the how many-th of this name, and what happens to it.
pub struct Rule {
    message: String,
    nth: u64,
    fate: Fate,
}

impl Rule {
    pub fn new(message: &str, nth: u64, fate: Fate) -> Self {
        Self {
            message: message.to_owned(),
            nth,
            fate,
        }
    }
}

/// Holds a message: the test waits for it.
pub struct Hold {
    message: String,
    came: Receiver<()>,
    /// Dropped, it lets the message go.
    _go: Sender<()>,
}

impl Hold {
    pub fn of(message: &str, nth: u64) -> (Rule, Self) {
        let ((here, came), (go, may_go)) = (channel(), channel());
        let rule = Rule::new(message, nth, Fate::Held(here, may_go));
        let hold = Self {
            message: message.to_owned(),
            came,
            _go: go,
        };
        (rule, hold)
    }

    /// Waits for the message.
    pub fn wait(&self) {
        let came = self.came.recv_timeout(Duration::from_secs(600));
        came.unwrap_or_else(|e| panic!("'{}' was waited for: {e}", self.message));
    }
}

/// Relays connections to a server, and cuts them at messages.
///
/// A message is named by the connection (`master`, `worker`, `helper`; `new` before it is known),
/// its direction (`>` to the server) and what it is, such as `master < Stage FileCopy end`. It has a
/// second name for rules that care for no connection, `any < Stage FileCopy end`: which of them
/// brings what is a matter of luck.
pub struct Cutter {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    /// How often each message was seen.
    seen: Mutex<BTreeMap<String, u64>>,
    cut: Mutex<Vec<String>>,
    chance: Mutex<Option<Chance>>,
    shut: Mutex<bool>,
}

/// Cuts at random messages (the generator of Numerical Recipes).
struct Chance {
    state: u32,
    one_in: u32,
    left: u32,
}

impl Chance {
    fn next(&mut self) -> u32 {
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.state >> 8
    }

    fn fate(&mut self) -> Option<Fate> {
        if self.left == 0 || !self.next().is_multiple_of(self.one_in) {
            return None;
        }
        self.left -= 1;
        Some(match self.next() % 3 {
            0 => Fate::Lost,
            1 => Fate::Torn,
            _ => Fate::Last,
        })
    }
}

impl Cutter {
    pub fn start(server: u16, rules: impl IntoIterator<Item = Rule>) -> Self {
        Self::in_dialect(Dialect::Stock, server, rules)
    }

    pub fn in_dialect(
        dialect: Dialect,
        server: u16,
        rules: impl IntoIterator<Item = Rule>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        shared.rules.lock().unwrap().extend(rules);
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else {
                    continue;
                };
                if *all.shut.lock().unwrap() {
                    continue;
                }
                let (client, server) = (Arc::new(client), Arc::new(server));
                let talk = Talk {
                    dialect,
                    ..Talk::default()
                };
                let talk = Arc::new(Mutex::new(talk));
                let (from, to) = (Arc::clone(&client), Arc::clone(&server));
                let side = (Arc::clone(&all), Arc::clone(&talk));
                std::thread::spawn(move || relay(&from, &to, true, &side.0, &side.1));
                let all = Arc::clone(&all);
                std::thread::spawn(move || relay(&server, &client, false, &all, &talk));
            }
        });
        Self { port, shared }
    }

    /// Adds a rule. What was seen of its message so far does not count.
    pub fn add(&self, mut rule: Rule) {
        let seen = self.shared.seen.lock().unwrap();
        rule.nth += seen.get(&rule.message).copied().unwrap_or(0);
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// Cuts at one in so many messages, so often.
    pub fn at_random(&self, seed: u32, one_in: u32, times: u32) {
        *self.shared.chance.lock().unwrap() = Some(Chance {
            state: seed,
            one_in,
            left: times,
        });
    }

    /// Lets nobody in, or everybody again.
    pub fn shut(&self, shut: bool) {
        *self.shared.shut.lock().unwrap() = shut;
    }

    /// The messages at which connections were cut.
    pub fn cut(&self) -> Vec<String> {
        self.shared.cut.lock().unwrap().clone()
    }

    /// The messages of the rules that met none.
    pub fn unused(&self) -> Vec<String> {
        let rules = self.shared.rules.lock().unwrap();
        rules.iter().map(|rule| rule.message.clone()).collect()
    }

    /// Every message that was seen, and how often.
    pub fn seen(&self) -> BTreeMap<String, u64> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn fate(&self, message: &str) -> Option<Fate> {
        let of_any = message
            .split_once(' ')
            .map_or_else(String::new, |(_, what)| format!("any {what}"));
        let mut seen = self.seen.lock().unwrap();
        for name in [message, &of_any] {
            *seen.entry(name.to_owned()).or_default() += 1;
        }
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter().position(|rule| {
            (rule.message == message || rule.message == of_any) && rule.nth <= seen[&rule.message]
        });
        let ruled = rule.map(|at| rules.swap_remove(at).fate);
        // There are hundreds of settings: no cut would come behind them.
        let by_chance = || match self.chance.lock().unwrap().as_mut() {
            Some(chance) if !message.contains("Setting") => chance.fate(),
            _ => None,
        };
        let fate = ruled.or_else(by_chance);
        if fate
            .as_ref()
            .is_some_and(|it| !matches!(it, Fate::Held(..)))
        {
            self.cut.lock().unwrap().push(message.to_owned());
        }
        fate
    }
}

/// What is known of a connection.
#[derive(Default)]
struct Talk {
    dialect: Dialect,
    role: Option<&'static str>,
    /// The command that is being answered.
    command: Option<&'static str>,
    stage: String,
}

impl Talk {
    fn command(&mut self, packet: &[u8]) -> Option<String> {
        if self.command.is_none() {
            return (packet == [COM_CLONE]).then(|| {
                self.command = Some("CLONE");
                "new > CLONE".to_owned()
            });
        }
        let command = Command::decode_in(self.dialect, packet).ok()?;
        let (role, name, of) = match &command {
            Command::Init(_) => ("master", "INIT", String::new()),
            Command::Reinit(_) => ("master", "REINIT", String::new()),
            Command::Attach(_) => ("worker", "ATTACH", String::new()),
            Command::Execute => ("", "EXECUTE", String::new()),
            Command::Exit => ("helper", "EXIT", String::new()),
            Command::Ack(ack) => {
                let stage = ack.stage.map(|stage| format!(" {:?}", stage.stage));
                (
                    "helper",
                    "ACK",
                    stage.unwrap_or_else(|| " error".to_owned()),
                )
            }
        };
        self.command = Some(name);
        let role = self.role.get_or_insert(role);
        Some(format!("{role} > {name}{of}"))
    }

    fn response(&mut self, packet: &[u8]) -> Option<String> {
        let command = self.command?;
        let role = self.role.unwrap_or("new");
        if command == "CLONE" {
            return Some(format!("{role} < OK"));
        }
        let what = match Response::decode_in(self.dialect, packet).ok()? {
            Response::Locators { .. } => format!("Locators of {command}"),
            Response::Setting(_) => "Setting".to_owned(),
            Response::Complete => format!("Complete {command}"),
            Response::Error { .. } => "Error".to_owned(),
            Response::Data(_) => format!("Data {}", self.stage),
            Response::Descriptor(Descriptor::Task(_)) => "Task".to_owned(),
            Response::Descriptor(Descriptor::Stage(stage)) => stage_name(&stage),
            Response::Descriptor(Descriptor::File(file)) => format!("File {:?}", file.stage),
            Response::Descriptor(Descriptor::Data(data)) => {
                self.stage = format!("{:?}", data.stage);
                format!("Block {}", self.stage)
            }
            Response::Descriptor(other) => format!("{other:?}"),
        };
        Some(format!("{role} < {what}"))
    }
}

fn stage_name(stage: &StageDescriptor) -> String {
    let moment = match (stage.acknowledges, stage.begins) {
        (true, _) => "alive",
        (_, true) => "begin",
        _ => "end",
    };
    format!("Stage {:?} {moment}", stage.stage)
}

fn relay(from: &TcpStream, to: &TcpStream, to_server: bool, shared: &Shared, talk: &Mutex<Talk>) {
    while let Some(packet) = read_packet(from) {
        let body = &packet[HEADER..];
        let message = {
            let mut talk = talk.lock().unwrap();
            if to_server {
                talk.command(body)
            } else {
                talk.response(body)
            }
        };
        let fate = message.and_then(|message| shared.fate(&message));
        let passed = match &fate {
            Some(Fate::Lost) => 0,
            Some(Fate::Torn) => packet.len() / 2,
            _ => packet.len(),
        };
        if let Some(Fate::Held(here, go)) = &fate {
            let _ = here.send(());
            // Ends when the other side is dropped.
            let _ = go.recv();
        }
        let sent = (&*to).write_all(&packet[..passed]);
        if sent.is_err() || matches!(fate, Some(Fate::Lost | Fate::Torn | Fate::Last)) {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Length in three bytes, number.
const HEADER: usize = 4;

fn read_packet(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; HEADER];
    from.read_exact(&mut packet).ok()?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]);
    packet.resize(HEADER + length as usize, 0);
    from.read_exact(&mut packet[HEADER..]).ok()?;
    Some(packet)
}
