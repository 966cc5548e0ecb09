//! Every story in `stories/`, from both sides and in pieces of several sizes.

use std::fs;
use std::path::Path;

use observer::session::Side;
use tests::story::{Story, run};

#[test]
fn all_stories() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut failures = Vec::new();
    let mut count = 0;
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
    {
        let name = path.file_stem().unwrap().to_string_lossy();
        count += 1;
        let story = match Story::parse(&fs::read_to_string(path).unwrap()) {
            Ok(story) => story,
            Err(error) => {
                failures.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        for (side, piece) in [
            (Side::Server, 4096),
            (Side::Client, 4096),
            (Side::Server, 1),
            (Side::Client, 7),
            (Side::Server, 3),
        ] {
            let found = run(&story, side, piece).unwrap_or_else(|error| vec![format!("{error:#}")]);
            if found != story.expected {
                let (expected, found) = (story.expected.join("\n  "), found.join("\n  "));
                failures.push(format!(
                    "{name}, {side:?}, pieces of {piece}\n expected\n  {expected}\n found\n  {found}"
                ));
                break;
            }
        }
    }
    assert!(count >= 40, "only {count} stories found");
    assert!(
        failures.is_empty(),
        "{} of {count} stories failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}
