//! Any blocks: what a fresh decoder tells is what another decoder tells; what a late one tells is the same or
//! unknown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer::hpack::{Decoder, MAX_VALUE};
use wire::vocabulary::Everything;

fuzz_target!(|data: &[u8]| {
    let Some((&[cut, allowed], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let mut fresh = Decoder::new();
    fresh.allow(u32::from(allowed) << 8);
    let mut late = Decoder::joined();
    let mut oracle = fluke_hpack::Decoder::new();
    let (mut told_fresh, mut told_late) = (Everything::default(), Everything::default());
    for place in 0_usize.. {
        let Some((&length, after)) = rest.split_first() else {
            return;
        };
        let (block, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        told_fresh.told.clear();
        told_late.told.clear();
        let outcome = fresh.decode(block, &mut told_fresh);
        // The oracle panics on some malformed blocks, so it is only asked about others. From here on the two would
        // know different things anyway.
        if outcome.is_err() {
            return;
        }
        let expected = oracle.decode(block);
        // The oracle refuses some sizes of its own.
        let Ok(expected) = expected else { return };
        assert!(expected.len() == told_fresh.told.len());
        for (told, (name, value)) in told_fresh.told.iter().zip(&expected) {
            let (told_name, told_value) = told.as_ref().unwrap();
            assert!(told_name == name && (value.len() > MAX_VALUE || told_value == value));
        }
        if place >= usize::from(cut) {
            assert_eq!(late.decode(block, &mut told_late), Ok(()));
            assert!(told_late.told.len() == told_fresh.told.len());
            for (late, fresh) in told_late.told.iter().zip(&told_fresh.told) {
                assert!(late.is_none() || late == fresh, "{late:?} for {fresh:?}");
            }
        }
        assert!(fresh.memory() + late.memory() <= 64 * 1024);
    }
});
