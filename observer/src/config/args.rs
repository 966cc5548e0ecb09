//! The command line. Which flags there are comes from the table of settings; what they mean is resolved elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use super::resolve::Flags;
use super::table;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Run {
        flags: Flags,
    },
    Check {
        flags: Flags,
        json: bool,
        /// Of this machine's programs and libraries, not of the machine.
        targets: bool,
    },
    Config {
        flags: Flags,
    },
    Replay {
        flags: Flags,
        file: PathBuf,
        format: ReplayFormat,
    },
    Top {
        flags: Flags,
        url: Option<String>,
    },
    Completions {
        shell: Shell,
    },
    Docs {
        page: Page,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFormat {
    Table,
    Json,
    Prometheus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Metrics,
    Configuration,
}

const ABOUT: &str = "Sees every gRPC call on this Linux node, with no change to any application";
const LONG_ABOUT: &str = "Sees every gRPC call on this Linux node, with no change to any application, and serves what it \
saw to Prometheus at /metrics.

Without a subcommand it runs: loads its programs into the kernel, attaches them, and serves until it is stopped. Start \
with `observer check` to see what this machine allows.";
const AFTER: &str =
    "Every setting is also an environment variable (--log-format is MARTY_OBSERVER_LOG_FORMAT) and a key of \
the file named by --config (log_format). The flag wins over the variable, the variable over the file.
`observer config` prints what is in effect and where it came from.

Exit codes: 0 done, 1 failed, 2 wrong usage or a damaged capture.";

pub fn command() -> Command {
    Command::new("observer")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(AFTER)
        .args_conflicts_with_subcommands(true)
        .args(settings())
        .subcommand(Command::new("run").about("Load, attach, serve (the default)").args(settings()))
        .subcommand(
            Command::new("check")
                .about("Say what this kernel, container and these privileges allow, and what to do about the rest")
                .after_help(
                    "Exit code 0, or 1 when the observer cannot run here; with --targets always 0.\n\
                     With --targets it lists the files with TLS in them that processes have mapped now: what would be \
                     probed for encrypted calls, and of what is not, the reason.",
                )
                .arg(
                    Arg::new("targets")
                        .long("targets")
                        .action(ArgAction::SetTrue)
                        .help("Say which TLS libraries and programs would be probed"),
                )
                .arg(choice("format", "text|json", &["text", "json"]).help("For people or for machines"))
                .args(settings()),
        )
        .subcommand(
            Command::new("replay")
                .about("Decode a capture file (pcap or pcapng) instead of this machine's traffic")
                .after_help("Exit code 2 when the file is damaged: everything up to the damage is shown.")
                .arg(Arg::new("file").value_name("FILE").required(true).help("The capture; - for standard input"))
                .arg(
                    choice("format", "table|json|prometheus", &["table", "json", "prometheus"])
                        .help("Form of the result"),
                )
                .args(settings()),
        )
        .subcommand(
            Command::new("top")
                .about("Live view of services and methods in the terminal")
                .arg(Arg::new("url").long("url").value_name("URL").help("Of another observer; default: the local one"))
                .args(settings()),
        )
        .subcommand(Command::new("config").about("Print the settings in effect and where they came from").args(settings()))
        .subcommand(
            Command::new("completions")
                .about("Print completions for a shell")
                .arg(Arg::new("shell").required(true).value_parser(clap::value_parser!(Shell))),
        )
        .subcommand(
            Command::new("docs")
                .hide(true)
                .about("Print a generated page of the documentation")
                .arg(Arg::new("page").required(true).value_parser(["metrics", "configuration"])),
        )
}

fn settings() -> impl Iterator<Item = Arg> {
    table::ALL.iter().map(|about| {
        let default = if about.default.is_empty() {
            String::new()
        } else {
            format!(" [default: {}]", about.default)
        };
        let arg = Arg::new(about.name)
            .long(about.name)
            .value_name(about.value)
            .help(format!("{}{default}", about.help))
            .action(ArgAction::Set)
            .allow_hyphen_values(false);
        // What is off can be switched on by its name alone.
        if about.default == "false" {
            arg.num_args(0..=1).default_missing_value("true")
        } else {
            arg
        }
    })
}

fn choice(name: &'static str, value: &'static str, words: &'static [&'static str]) -> Arg {
    let default = words.first().copied().unwrap_or_default();
    Arg::new(name)
        .long(name)
        .value_name(value)
        .value_parser(PossibleValuesParser::new(words))
        .default_value(default)
}

/// Reads a command line, the program's name first. The error is also how clap says help and version.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Act, clap::Error> {
    let mut matches = command().try_get_matches_from(line)?;
    let Some((name, mut matches)) = matches.remove_subcommand() else {
        return Ok(Act::Run {
            flags: flags(&mut matches),
        });
    };
    let word = |name: &str| matches.get_one::<String>(name).cloned();
    let act = match name.as_str() {
        "check" => Act::Check {
            json: word("format").as_deref() == Some("json"),
            targets: matches.get_flag("targets"),
            flags: flags(&mut matches),
        },
        "config" => Act::Config {
            flags: flags(&mut matches),
        },
        "replay" => {
            let format = match word("format").as_deref() {
                Some("json") => ReplayFormat::Json,
                Some("prometheus") => ReplayFormat::Prometheus,
                _ => ReplayFormat::Table,
            };
            let file = word("file").unwrap_or_default().into();
            Act::Replay {
                file,
                format,
                flags: flags(&mut matches),
            }
        }
        "top" => Act::Top {
            url: word("url"),
            flags: flags(&mut matches),
        },
        "completions" => {
            let shell = matches.get_one("shell").copied().unwrap_or(Shell::Bash);
            Act::Completions { shell }
        }
        "docs" if word("page").as_deref() == Some("metrics") => Act::Docs { page: Page::Metrics },
        "docs" => Act::Docs {
            page: Page::Configuration,
        },
        _ => Act::Run {
            flags: flags(&mut matches),
        },
    };
    Ok(act)
}

fn flags(matches: &mut ArgMatches) -> Flags {
    let given = |name| matches.remove_one::<String>(name).map(|text| (name, text));
    table::ALL
        .iter()
        .map(|about| about.name)
        .filter_map(given)
        .collect()
}

/// Prints completions for a shell.
pub fn completions(shell: Shell) {
    clap_complete::generate(shell, &mut command(), "observer", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Act, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
    }

    fn flags_of(pairs: &[(&'static str, &str)]) -> Flags {
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_table_makes_a_valid_command_line() {
        command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        let flags = flags_of(&[("listen", ":1"), ("web.config.file", "w")]);
        assert_eq!(
            read("observer --listen :1 --web.config.file=w"),
            Ok(Act::Run { flags: flags.clone() })
        );
        assert_eq!(
            read("observer run --listen :1 --web.config.file w"),
            Ok(Act::Run { flags })
        );
        assert_eq!(read("observer"), Ok(Act::Run { flags: Flags::new() }));
    }

    #[test]
    fn subcommands() {
        let flags = Flags::new();
        assert_eq!(
            read("observer check --format json"),
            Ok(Act::Check {
                flags: flags.clone(),
                json: true,
                targets: false
            })
        );
        assert_eq!(
            read("observer check --targets"),
            Ok(Act::Check {
                flags: flags.clone(),
                json: false,
                targets: true
            })
        );
        assert_eq!(read("observer config"), Ok(Act::Config { flags: flags.clone() }));
        let replay = |format| Act::Replay {
            flags: flags.clone(),
            file: "-".into(),
            format,
        };
        assert_eq!(read("observer replay -"), Ok(replay(ReplayFormat::Table)));
        assert_eq!(
            read("observer replay - --format json"),
            Ok(replay(ReplayFormat::Json))
        );
        assert_eq!(
            read("observer replay --format prometheus -"),
            Ok(replay(ReplayFormat::Prometheus))
        );
        let url = Some("http://a:1".to_owned());
        assert_eq!(read("observer top --url http://a:1"), Ok(Act::Top { flags, url }));
        assert_eq!(
            read("observer completions zsh"),
            Ok(Act::Completions { shell: Shell::Zsh })
        );
        assert_eq!(
            read("observer docs configuration"),
            Ok(Act::Docs {
                page: Page::Configuration
            })
        );
    }

    #[test]
    fn refusals() {
        for (line, expected) in [
            ("observer --lissen :1", "a similar argument exists: '--listen'"),
            ("observer chekc", "a similar subcommand exists: 'check'"),
            ("observer replay", "<FILE>"),
            ("observer check --format xml", "[possible values: text, json]"),
            ("observer --listen :1 run", "cannot be used with"),
            (
                "observer --listen",
                "a value is required for '--listen <ADDRESS:PORT>'",
            ),
            (
                "observer completions tcsh",
                "[possible values: bash, elvish, fish, powershell, zsh]",
            ),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn help_teaches() {
        let help = command().render_long_help().to_string();
        for text in [
            "observer check",
            "--web.config.file <FILE>",
            "MARTY_OBSERVER_LOG_FORMAT",
            "[default: 0.0.0.0:9464]",
        ] {
            assert!(help.contains(text), "{text} is not in\n{help}");
        }
        assert!(!help.contains("docs"), "hidden");
    }
}
