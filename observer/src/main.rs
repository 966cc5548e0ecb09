//! The command line: each subcommand is one call.

fn main() {
    if std::env::args().skip(1).eq(["docs", "metrics"]) {
        print!("{}", observer::metrics::document::document());
    }
}
