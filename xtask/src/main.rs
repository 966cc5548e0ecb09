//! Every development task, as `cargo xtask COMMAND`: one module per command, and what the commands share. No task
//! needs anything prepared by hand: what is missing is installed into the target directory, or one sentence
//! says how to get it.

mod bench;
mod build;
mod cluster;
mod deny;
mod deploy_test;
mod dist;
mod elf;
mod instructions;
mod kernels;
mod linker;
mod lint;
mod packages;
mod privilege;
mod process;
mod rules;
mod run;
mod test;
mod tidy;
mod tool;
mod toolchain;
mod truth;
mod whole_call;
mod workspace;
mod yaml;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  build [--debug-programs]    the kernel object and the daemon: one file, target/release/observer;
                              with --debug-programs the kernel programs log (aya-log)
  run [-- ARGS]               build, become root by sudo where needed, run the daemon with ARGS
  test [--unit] [--live] [--fuzz] [--instructions] [--truth] [--guest] [-- LIBTEST ARGS]
                              build, run all tests that this machine can run (or the named parts), say what was
                              skipped and why
  truth [--quick] [--help]    the observer against what real gRPC programs counted, in every situation
  lint                        format, clippy, dependencies, tidy
  tidy                        the project's own rules of structure
  bench [-- CRITERION ARGS]   what decoding and the kernel programs cost
  bench --instructions        count the instructions of a call and write them down for `test`
  bench --guest               count the instructions of a whole call, of the kernel and of all programs, in an emulated
                              machine, and write them down for `test --guest` and for observer/docs/overhead.md
  bench --overhead [--quick] [--help]
                              what it costs real programs to be observed; writes observer/docs/overhead.md
  cluster [-- LIBTEST ARGS]   a real Kubernetes on this machine, the proof of identity in it, and its end
  rules [--check]             rules and alerts of the service level objectives (deploy/rules/slos.yaml)
  dist                        static daemon, Debian package, image, bill of materials in target/dist
  deploy-test [--fast]        rules, chart, dashboards, the real servers around a real observer, the chart on a real
                              Kubernetes where one can be started; --fast: without a kernel
  kernels [get | run [NAME]]  the capture test and a short truth under Debian's other kernels, each in a virtual
                              machine: fetch them; run those with NAME in their names, or all (observer/docs/kernels.md)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = args.split_first() else {
        bail!("a command is missing.\n\n{USAGE}");
    };
    let command = match command.as_str() {
        "build" => build::command,
        "run" => run::command,
        "deploy-test" => deploy_test::command,
        "dist" => dist::command,
        "rules" => rules::command,
        "test" => test::command,
        "truth" => truth::command,
        "lint" => lint::command,
        "tidy" => tidy::command,
        "bench" => bench::command,
        "cluster" => cluster::command,
        "kernels" => kernels::command,
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        unknown => bail!("there is no command `{unknown}`.\n\n{USAGE}"),
    };
    command(&Workspace::find()?, rest)
}
