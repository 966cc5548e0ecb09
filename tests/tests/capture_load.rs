//! What it takes the kernel to accept the programs.

use tests::capture::watch::Watch;
use tests::prerequisite::or_skip;

/// Half of what kernels since 5.2 follow at most: other kernels, and other compilers, need more for the same program.
const MAX_VERIFIED: u32 = 500_000;

#[test]
fn programs_are_far_from_the_verifiers_limit() {
    let Some(watch) = or_skip("programs_are_far_from_the_verifiers_limit", Watch::start()) else {
        return;
    };
    let mut all = watch.probe.verified_instructions();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let sum: u32 = all.iter().map(|(_, count)| count).sum();
    println!("{sum} instructions followed in all: {all:?}");
    assert!(all.iter().all(|(_, count)| *count < MAX_VERIFIED), "{all:?}");
}
