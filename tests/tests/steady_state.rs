//! A connection that has warmed up allocates nothing per call, and an idle one holds next to nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use observer::session::{CallEvent, Session};
use observer_ebpf::record::{Direction, END_STREAM, HEADERS, Record};
use wire::{Encoder, Field, Form, Frame, Kernel, header_frames};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(
    unsafe_code,
    reason = "counts and forwards to the system's allocator, with its arguments unchanged"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The sending end of a connection on which calls are made in batches of `at_once`.
struct Traffic {
    kernel: Kernel,
    encoders: [Encoder; 2],
    form: Form,
    stream: u32,
}

impl Traffic {
    fn new(form: Form) -> Self {
        Self {
            kernel: Kernel::new(4096),
            encoders: [Encoder::default(), Encoder::default()],
            form,
            stream: 1,
        }
    }

    fn headers(
        &mut self,
        sender: usize,
        stream: u32,
        end: bool,
        fields: &[(&str, &str)],
    ) -> Vec<(Record, Vec<u8>)> {
        let fields: Vec<Field> = fields
            .iter()
            .map(|&(name, value)| Field {
                name: name.to_owned(),
                value: value.to_owned(),
                form: self.form,
                huffman: true,
            })
            .collect();
        let block = self.encoders[sender].encode(&fields);
        let flags = if end { END_STREAM } else { 0 };
        let first = Frame {
            frame_type: HEADERS,
            flags,
            stream,
            payload: Vec::new(),
        };
        let direction = if sender == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let frames = header_frames(&first, &block, usize::MAX, None, false);
        frames
            .iter()
            .flat_map(|frame| self.kernel.frame(direction, frame, stream.into()))
            .collect()
    }

    fn calls(&mut self, at_once: u32) -> Vec<(Record, Vec<u8>)> {
        let streams: Vec<u32> = (0..at_once).map(|place| self.stream + 2 * place).collect();
        self.stream += 2 * at_once;
        let mut records = Vec::new();
        for &stream in &streams {
            let id = format!("id-{stream}");
            let request = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/pkg.Service/Method"),
                (":authority", "server:50051"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("x-request-id", &id),
            ];
            records.extend(self.headers(0, stream, false, &request));
        }
        for &stream in &streams {
            records.extend(self.headers(
                1,
                stream,
                false,
                &[(":status", "200"), ("content-type", "application/grpc")],
            ));
            records.extend(self.headers(1, stream, true, &[("grpc-status", "0"), ("grpc-message", "")]));
        }
        records
    }
}

/// Allocations while the calls of `records` are decoded, and how many ended.
fn play(session: &mut Session, records: &[(Record, Vec<u8>)], events: &mut Vec<CallEvent>) -> (usize, usize) {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut ended = 0;
    for (record, payload) in records {
        events.clear();
        session.on_record(record, payload, events);
        ended += events
            .iter()
            .filter(|event| matches!(event, CallEvent::Ended(_)))
            .count();
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before, ended)
}

/// One test for all: another one beside it would allocate, too.
#[test]
fn no_allocation_per_call_and_little_memory_when_idle() {
    for form in [Form::Indexing, Form::Literal, Form::NeverIndexed] {
        for at_once in [1, 100] {
            let mut traffic = Traffic::new(form);
            let mut session = Session::new(false);
            let mut events = Vec::with_capacity(16);
            for _ in 0..100 {
                play(&mut session, &traffic.calls(at_once), &mut events);
            }
            let records = (0..50).flat_map(|_| traffic.calls(at_once)).collect::<Vec<_>>();
            let (allocations, ended) = play(&mut session, &records, &mut events);
            assert_eq!(ended, 50 * usize::try_from(at_once).unwrap());
            assert_eq!(allocations, 0, "{form:?}, {at_once} at once");
            session.expire(u64::MAX / 2, 1, &mut events);
            let memory = session.memory();
            println!(
                "{form:?}, {at_once} at once: {memory} bytes when idle, {} without tables",
                size_of::<Session>()
            );
            assert!(memory < 3 * 1024, "{form:?}, {at_once} at once: {memory} bytes");
        }
    }
}
