//! A mail server that misbehaves as it is told, command by command. Refuses to be more than a test needs: it speaks
//! plain SMTP to one sender at a time.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// What it does at one point.
#[derive(Clone, Copy)]
pub enum Do {
    /// Answers with this line.
    Say(&'static str),
    /// Closes the connection without an answer.
    Close,
    /// Keeps the connection open and never answers.
    Hang,
}

/// What it does at each point.
#[derive(Clone, Copy)]
pub struct Manners {
    pub greeting: Do,
    /// The answer to EHLO, with its line ends but the last.
    pub hello: &'static str,
    pub starttls: Do,
    pub mail: Do,
    pub rcpt: Do,
    pub data: Do,
    /// Reads this much of the text, then drops the connection.
    pub text_bytes_max: Option<usize>,
    pub dot: Do,
    /// Closes after that many messages, when the next is begun.
    pub messages_max: usize,
}

pub const GOOD: Manners = Manners {
    greeting: Do::Say("220 fake"),
    hello: "250-fake\r\n250 8BITMIME",
    starttls: Do::Say("220 go on"),
    mail: Do::Say("250 ok"),
    rcpt: Do::Say("250 ok"),
    data: Do::Say("354 go on"),
    text_bytes_max: None,
    dot: Do::Say("250 taken"),
    messages_max: usize::MAX,
};

/// What it has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    pub commands: Vec<String>,
    /// The texts that were whole, whatever was answered then.
    pub messages: Vec<String>,
}

pub struct FakeSmtp {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    manners: Arc<Mutex<Manners>>,
    task: JoinHandle<()>,
}

impl FakeSmtp {
    pub async fn new(manners: Manners) -> Self {
        Self::on(0, manners).await
    }

    pub async fn on(port: u16, manners: Manners) -> Self {
        // A small window, so that a long text is under way for a while; inherited by the connections.
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.set_reuseaddr(true).expect("a new socket takes it");
        socket.set_recv_buffer_size(4_096).expect("a new socket takes it");
        socket.bind(([127, 0, 0, 1], port).into()).expect("the port is free");
        let listener = socket.listen(16).expect("the port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (seen, manners) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Mutex::new(manners)));
        let (its_seen, its_manners) = (seen.clone(), manners.clone());
        let task = tokio::spawn(async move {
            // What hangs is held here, so that it stays open.
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                its_seen.lock().expect("no test panics with it").connections += 1;
                held.push(tokio::spawn(talk(stream, its_manners.clone(), its_seen.clone())));
            }
        });
        Self { port, seen, manners, task }
    }

    pub fn behave(&self, manners: Manners) {
        *self.manners.lock().expect("no test panics with it") = manners;
    }

    pub fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().expect("no test panics with it"))
    }
}

impl Drop for FakeSmtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(stream: TcpStream, manners: Arc<Mutex<Manners>>, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let now = || *manners.lock().expect("no test panics with it");
    let greeting = now().greeting;
    act(&mut stream, greeting).await?;
    let mut messages = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        seen.lock().expect("no test panics with it").commands.push(line.trim_end().to_owned());
        let manners = now();
        let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_uppercase();
        match verb.as_str() {
            "EHLO" => say(&mut stream, manners.hello).await?,
            "STARTTLS" => act(&mut stream, manners.starttls).await?,
            "MAIL" if messages >= manners.messages_max => return None,
            "MAIL" => act(&mut stream, manners.mail).await?,
            "RCPT" => act(&mut stream, manners.rcpt).await?,
            "DATA" => {
                act(&mut stream, manners.data).await?;
                if matches!(manners.data, Do::Say(line) if line.starts_with('3')) {
                    let text = text(&mut stream, manners.text_bytes_max).await?;
                    seen.lock().expect("no test panics with it").messages.push(text);
                    messages += 1;
                    act(&mut stream, manners.dot).await?;
                }
            }
            "QUIT" => {
                say(&mut stream, "221 bye").await?;
                return None;
            }
            _ => say(&mut stream, "250 ok").await?,
        }
    }
}

/// Everything up to the line that is a dot; `None` when it does not come, or is not waited for.
async fn text(stream: &mut BufReader<TcpStream>, max: Option<usize>) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 || max.is_some_and(|max| text.len() > max) {
            return None;
        }
        if line == ".\r\n" {
            return Some(text);
        }
        text.push_str(&line);
    }
}

async fn act(stream: &mut BufReader<TcpStream>, manner: Do) -> Option<()> {
    match manner {
        Do::Say(line) => say(stream, line).await,
        Do::Close => None,
        Do::Hang => std::future::pending().await,
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.ok()
}
