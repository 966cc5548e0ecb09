//! Plays a story to a session.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail};
use observer::session::{CallEvent, Session, Side};
use observer_ebpf::record::{
    Close, DATA, Direction, END_STREAM, GOAWAY, HEADERS, Kind, PUSH_PROMISE, RST_STREAM, SETTINGS,
};

use super::{Act, Story, render};
use wire::{Encoder, Field, Form, Frame, Kernel, header_frames};

/// Plays it as seen from one side, frames in pieces of `piece` bytes, and gives what came out.
pub fn run(story: &Story, side: Side, piece: usize) -> Result<Vec<String>> {
    let mut player = Player {
        session: Session::new(story.joined),
        side,
        kernel: Kernel::new(piece),
        encoders: [Encoder::default(), Encoder::default()],
        seen: !story.joined,
        events: Vec::new(),
        lines: Vec::new(),
    };
    for act in &story.acts {
        player
            .play(act)
            .with_context(|| format!("{} {} at {}", act.who, act.verb, act.time / 1_000_000))?;
    }
    let mut lines = player.lines;
    lines.extend(render::losses(player.session.losses()));
    if player.session.side().is_some_and(|found| found != side) {
        bail!("wrong side: {:?}", player.session.side());
    }
    balance(&player.events)?;
    Ok(lines)
}

/// Every call that started ended once at most, and none ended that had not started.
fn balance(events: &[CallEvent]) -> Result<()> {
    let mut open = HashSet::new();
    for event in events {
        match event {
            CallEvent::Started { stream, .. } if !open.insert(*stream) => {
                bail!("{stream:?} started twice")
            }
            CallEvent::Ended(ended) if ended.started.is_some() && !open.remove(&ended.stream) => {
                bail!("{:?} ended without having started", ended.stream)
            }
            _ => {}
        }
    }
    Ok(())
}

struct Player {
    session: Session,
    side: Side,
    kernel: Kernel,
    encoders: [Encoder; 2],
    seen: bool,
    events: Vec<CallEvent>,
    lines: Vec<String>,
}

impl Player {
    fn play(&mut self, act: &Act) -> Result<()> {
        let sender = match act.who.as_str() {
            "client" => 0,
            "server" => 1,
            "observer" => return self.observe(act),
            who => bail!("who is {who}?"),
        };
        let direction = match (self.side, sender) {
            (Side::Server, 0) | (Side::Client, 1) => Direction::Ingress,
            _ => Direction::Egress,
        };
        match act.verb.as_str() {
            "gap" => self.tell(direction, Kind::Gap, 0, act),
            "fin" => self.tell(direction, Kind::Closed, Close::Fin as u8, act),
            "rst" => self.tell(direction, Kind::Closed, Close::Reset as u8, act),
            "gone" => self.tell(direction, Kind::Closed, Close::Gone as u8, act),
            "released" => self.tell(direction, Kind::Closed, Close::Released as u8, act),
            "resize" => self.encoders[sender].resize(act.number(0)?),
            _ => {
                for (place, frame) in frames(act, &mut self.encoders[sender])?.iter().enumerate() {
                    self.send(direction, frame, act, place);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, direction: Direction, frame: &Frame, act: &Act, place: usize) {
        let applies = |name| match act.option(name) {
            Some("first") => place == 0,
            Some("rest") => place > 0,
            found => found.is_some(),
        };
        if applies("unseen") {
            return;
        }
        if !self.seen {
            self.seen = true;
            self.kernel.forget();
        }
        let records = self.kernel.frame(direction, frame, act.time);
        if applies("lost") {
            return;
        }
        for (record, payload) in records {
            self.session.on_record(&record, &payload, &mut self.events);
        }
        self.note();
    }

    fn tell(&mut self, direction: Direction, kind: Kind, what: u8, act: &Act) {
        let (record, payload) = self.kernel.event(direction, kind, what, act.time);
        if act.option("lost").is_none() {
            self.session.on_record(&record, &payload, &mut self.events);
        }
        self.note();
    }

    fn observe(&mut self, act: &Act) -> Result<()> {
        match act.verb.as_str() {
            "expire" => {
                let idle = act.number::<u64>(0)? * 1_000_000;
                self.session.expire(act.time, idle, &mut self.events);
            }
            "end" => self.session.end(act.time, &mut self.events),
            verb => bail!("the observer cannot {verb}"),
        }
        self.note();
        Ok(())
    }

    /// Rendered at once, while the method's number means what it meant.
    fn note(&mut self) {
        for event in &self.events[self.lines.len()..] {
            self.lines.push(render::event(&self.session, event));
        }
    }
}

fn frames(act: &Act, encoder: &mut Encoder) -> Result<Vec<Frame>> {
    match act.verb.as_str() {
        "request" | "response" | "trailers" | "trailers-only" | "headers" | "push" => block(act, encoder),
        _ => Ok(vec![control(act)?]),
    }
}

fn block(act: &Act, encoder: &mut Encoder) -> Result<Vec<Frame>> {
    let fields = fields(act)?;
    let block = encoder.encode(&fields);
    let ends = act.verb.starts_with("trailers") || act.option("end").is_some();
    let is_push = act.verb == "push";
    let first = Frame {
        frame_type: if is_push { PUSH_PROMISE } else { HEADERS },
        flags: if ends { END_STREAM } else { 0 },
        stream: act.number(0)?,
        payload: if is_push {
            2_u32.to_be_bytes().to_vec()
        } else {
            Vec::new()
        },
    };
    let most = act.option("continuation").map_or(Ok(usize::MAX), str::parse)?;
    let padding = act.option("pad").map(str::parse).transpose()?;
    Ok(header_frames(
        &first,
        &block,
        most,
        padding,
        act.option("priority").is_some(),
    ))
}

fn fields(act: &Act) -> Result<Vec<Field>> {
    let word = |place: usize| act.words.get(place).map_or("", String::as_str);
    let option = |name: &str, usual: &'static str| act.option(name).unwrap_or(usual).to_owned();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    let only = act.option("only").is_some();
    match act.verb.as_str() {
        "request" => {
            add(":method", &option("method", "POST"));
            add(":scheme", "http");
            add(":path", word(1));
            add(":authority", "server:50051");
            if !only {
                add("content-type", &option("type", "application/grpc"));
                add("te", "trailers");
            }
        }
        "response" => {
            add(":status", &option("status", "200"));
            if !only {
                add("content-type", &option("type", "application/grpc"));
            }
        }
        "trailers-only" => {
            add(":status", &option("status", "200"));
            add("content-type", &option("type", "application/grpc"));
            add("grpc-status", word(1));
        }
        "trailers" => add("grpc-status", word(1)),
        _ => {}
    }
    if let Some(timeout) = act.option("timeout") {
        add("grpc-timeout", timeout);
    }
    for (_, more) in act.options.iter().filter(|(name, _)| name == "more") {
        let (name, value) = more.split_once(':').context("more=NAME:VALUE")?;
        add(name, value);
    }
    fields.extend(act.fields.clone());
    let form = match (act.option("literal"), act.option("never")) {
        (Some(_), _) => Form::Literal,
        (_, Some(_)) => Form::NeverIndexed,
        _ => Form::Indexing,
    };
    let huffman = act.option("huffman").is_some();
    Ok(fields
        .into_iter()
        .map(|(name, value)| Field {
            name,
            value,
            form,
            huffman,
        })
        .collect())
}

fn control(act: &Act) -> Result<Frame> {
    let frame = |frame_type, flags, stream, payload| Frame {
        frame_type,
        flags,
        stream,
        payload,
    };
    Ok(match act.verb.as_str() {
        "data" => {
            let flags = if act.option("end").is_some() {
                END_STREAM
            } else {
                0
            };
            frame(DATA, flags, act.number(0)?, vec![0; act.number(1)?])
        }
        "reset" => frame(
            RST_STREAM,
            0,
            act.number(0)?,
            act.number::<u32>(1)?.to_be_bytes().to_vec(),
        ),
        "goaway" => {
            let mut payload = act.number::<u32>(0)?.to_be_bytes().to_vec();
            payload.extend([0; 4]);
            payload.extend(b"some text");
            frame(GOAWAY, 0, 0, payload)
        }
        "settings" => {
            let mut payload = vec![0, 3, 0, 0, 0, 100, 0, 1];
            payload.extend(act.number::<u32>(0)?.to_be_bytes());
            frame(SETTINGS, 0, 0, payload)
        }
        "raw" => {
            let hex = act.words.get(3).map_or("", String::as_str).as_bytes().chunks(2);
            let payload = hex.map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16));
            frame(
                act.number(0)?,
                act.number(1)?,
                act.number(2)?,
                payload.collect::<Result<_, _>>()?,
            )
        }
        verb => bail!("no such act: {verb}"),
    })
}
