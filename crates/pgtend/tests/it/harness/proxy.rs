//! A bad way to an S3 server: it answers for the server, cuts answers off, loses them, or lets nothing through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and code, and reaches nobody.
    Answer(u16, &'static str),
    /// It is read and never answered.
    Silence,
    /// The connection ends before the request has reached the server.
    Drop,
    /// The server does it, and the connection ends without an answer.
    LoseAnswer,
    /// The server does it, and half of the answer arrives.
    CutAnswer,
    /// The server does it, and the answer arrives with another byte in its middle.
    SpoilAnswer,
    /// It reaches the server without `If-None-Match`, as if that were nothing.
    ForgetCondition,
}

struct Rule {
    method: &'static str,
    key: String,
    fault: Fault,
    left: usize,
}

/// The way. It ends with the test: its threads wait for connections that nobody makes.
pub struct Proxy {
    port: u16,
    rules: Arc<Mutex<Vec<Rule>>>,
    met: Arc<Mutex<usize>>,
}

impl Proxy {
    /// In front of the server on this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rules, met) = (Arc::<Mutex<Vec<Rule>>>::default(), Arc::<Mutex<usize>>::default());
        let (shared, count) = (Arc::clone(&rules), Arc::clone(&met));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (rules, met) = (Arc::clone(&shared), Arc::clone(&count));
                std::thread::spawn(move || pass(client, server, &rules, &met));
            }
        });
        Self { port, rules, met }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on the next so many requests of this method whose target has this in it meet a fault. An earlier rule goes first.
    pub fn fail(&self, method: &'static str, key: &str, fault: Fault, times: usize) {
        self.rules.lock().unwrap().push(Rule { method, key: key.to_owned(), fault, left: times });
    }

    /// From now on nothing goes wrong.
    pub fn forgive(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// How many requests have met a fault.
    pub fn faults(&self) -> usize {
        *self.met.lock().unwrap()
    }
}

fn pass(mut client: TcpStream, server: u16, rules: &Mutex<Vec<Rule>>, met: &Mutex<usize>) {
    let Some(request) = message(&mut client, true) else { return };
    let head = String::from_utf8_lossy(&request[..request.len().min(2000)]).into_owned();
    let fault = fault(&head, rules);
    *met.lock().unwrap() += usize::from(fault.is_some());
    match fault {
        Some(Fault::Answer(status, code)) => {
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>As the test wants it.</Message></Error>");
            let length = body.len();
            _ = write!(client, "HTTP/1.1 {status} Fault\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
        Some(Fault::Silence) => std::thread::sleep(Duration::from_secs(20)),
        Some(Fault::Drop) => {}
        _ => {
            let request = if fault == Some(Fault::ForgetCondition) { without(&request, "if-none-match") } else { request };
            let Some(mut answer) = forward(&request, server) else { return };
            match fault {
                Some(Fault::LoseAnswer) => return,
                Some(Fault::CutAnswer) => answer.truncate(answer.len() / 2 + 200),
                Some(Fault::SpoilAnswer) => {
                    let middle = usize::midpoint(head_bytes(&answer).unwrap_or_default(), answer.len());
                    answer[middle] ^= 0x10;
                }
                _ => {}
            }
            _ = client.write_all(&answer);
        }
    }
    _ = client.shutdown(Shutdown::Both);
}

fn fault(head: &str, rules: &Mutex<Vec<Rule>>) -> Option<Fault> {
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut rules = rules.lock().unwrap();
    let rule = rules.iter_mut().find(|rule| rule.left > 0 && rule.method == method && target.contains(&rule.key))?;
    rule.left -= 1;
    Some(rule.fault)
}

/// Sends a request on and gives the whole answer, after which the connection closes.
fn forward(request: &[u8], server: u16) -> Option<Vec<u8>> {
    let mut request = without(request, "connection");
    let end = head_bytes(&request)? - 2;
    request.splice(end..end, *b"Connection: close\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", server)).ok()?;
    stream.write_all(&request).ok()?;
    message(&mut stream, false)
}

/// A request or an answer: its head, and the bytes that the head promises.
fn message(stream: &mut TcpStream, is_request: bool) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        if let Some(head) = head_bytes(&message) {
            let length = header(&message[..head], "content-length").and_then(|length| length.parse::<usize>().ok());
            if message.len() >= head + length.unwrap_or(if is_request { 0 } else { usize::MAX - head }) {
                return Some(message);
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return (!is_request && !message.is_empty()).then_some(message),
            Ok(bytes) => message.extend_from_slice(&piece[..bytes]),
        }
    }
}

fn head_bytes(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn header(head: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

fn without(message: &[u8], name: &str) -> Vec<u8> {
    let head = head_bytes(message).unwrap();
    let text = String::from_utf8_lossy(&message[..head]).into_owned();
    let kept = text.split_inclusive("\r\n").filter(|line| !line.split(':').next().unwrap_or_default().eq_ignore_ascii_case(name));
    let mut whole = kept.collect::<String>().into_bytes();
    whole.extend_from_slice(&message[head..]);
    whole
}
