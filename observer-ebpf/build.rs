//! For which machine the kernel programs are: probes of processes read its registers. As `aya-ebpf` decides it.

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_CFG_BPF_TARGET_ARCH");
    println!("cargo::rustc-check-cfg=cfg(bpf_target_arch, values(\"x86_64\", \"aarch64\"))");
    let named = std::env::var("CARGO_CFG_BPF_TARGET_ARCH").or_else(|_| std::env::var("HOST"));
    if let Ok(name) = named {
        let machine = name.split('-').next().unwrap_or_default();
        println!("cargo::rustc-cfg=bpf_target_arch=\"{machine}\"");
    }
}
