//! Builds the stand-in for the driver: the kernels and the machine they run on, as shared objects named libcuda.so.
//!
//! Without a C++ compiler, or where there are no ELF libraries, it says so and builds none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// A build of the stand-in.
struct Variant {
    name: &'static str,
    kernels: &'static str,
    checked: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant { name: "plain", kernels: "../cuda/kernels", checked: false },
    Variant { name: "checked", kernels: "../cuda/kernels", checked: true },
    Variant { name: "planted", kernels: "kernels", checked: false },
    Variant { name: "planted-checked", kernels: "kernels", checked: true },
];

const MACHINE: [&str; 3] = ["scheduler", "checker", "driver"];

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for path in ["cpp", "kernels", "../cuda/kernels", "build.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=CXX");
    let missing = match compiler() {
        Ok(compiler) => {
            build(&compiler, &out)?;
            None
        }
        Err(missing) => Some(missing),
    };
    if let Some(missing) = &missing {
        println!("cargo:warning=the CUDA kernels are not tested on the CPU: {missing}");
    }
    println!("cargo:rustc-env=INFOMARK_CUDA_SIM={}", out.display());
    println!("cargo:rustc-env=INFOMARK_CUDA_SIM_MISSING={}", missing.unwrap_or_default());
    Ok(())
}

/// The C++ compiler, or why there is none.
fn compiler() -> Result<PathBuf, String> {
    let target = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target != "linux" {
        return Err(format!("the stand-in needs Linux, not {target}"));
    }
    let tool = cc::Build::new().cpp(true).try_get_compiler().map_err(|e| format!("no C++ compiler: {e}"))?;
    let path = tool.path().to_path_buf();
    match Command::new(&path).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(path),
        _ => Err(format!("{} does not run: install g++", path.display())),
    }
}

/// Builds all variants, several files at a time.
fn build(compiler: &Path, out: &Path) -> io::Result<()> {
    let threads = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(1usize).max(1);
    let mut commands = Vec::new();
    let mut links = Vec::new();
    for checked in [false, true] {
        for name in MACHINE {
            let source = PathBuf::from(format!("cpp/{name}.cpp"));
            commands.push(compile(compiler, checked, &source, &machine_object(out, name, checked)));
        }
    }
    for variant in &VARIANTS {
        let dir = out.join(variant.name);
        fs::create_dir_all(&dir)?;
        let mut objects = Vec::new();
        for source in kernel_files(Path::new(variant.kernels))? {
            let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let unit = dir.join(format!("{stem}.cpp"));
            fs::write(&unit, unit_text(&stem, &source)?)?;
            let object = dir.join(format!("{stem}.o"));
            let mut command = compile(compiler, variant.checked, &unit, &object);
            command.args(["-include", "cpp/simt.hpp", "-I../cuda/kernels", "-Wno-unknown-pragmas"]);
            if variant.checked {
                command.arg("-fsanitize=thread");
            }
            commands.push(command);
            objects.push(object);
        }
        objects.extend(MACHINE.map(|name| machine_object(out, name, variant.checked)));
        let mut link = Command::new(compiler);
        link.args(["-shared", "-Wl,-soname,libcuda.so", "-Wl,--no-undefined", "-o"]);
        link.arg(dir.join("libcuda.so")).args(&objects);
        links.push(link);
    }
    run_all(commands, threads)?;
    run_all(links, threads)
}

/// A part of the machine, compiled.
fn machine_object(out: &Path, name: &str, checked: bool) -> PathBuf {
    out.join(format!("{name}{}.o", if checked { "-checked" } else { "" }))
}

fn kernel_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "cu") {
            files.push(fs::canonicalize(path)?);
        }
    }
    files.sort();
    Ok(files)
}

/// A file of kernels in a namespace of its own, each kernel entered under its name.
fn unit_text(stem: &str, source: &Path) -> io::Result<String> {
    let text = fs::read_to_string(source)?;
    let mut unit = format!("namespace kernels_{stem} {{\n#include \"{}\"\n", source.display());
    for declaration in text.split("extern \"C\" __global__ void").skip(1) {
        let declaration = declaration.trim_start();
        let declaration = match declaration.strip_prefix("__launch_bounds__(") {
            Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest),
            None => declaration,
        };
        let name = declaration.split('(').next().unwrap_or_default().trim();
        unit += &format!("static simt::Entry<&{name}> enter_{name}(\"{name}\");\n");
    }
    Ok(unit + "}\n")
}

fn compile(compiler: &Path, checked: bool, source: &Path, object: &Path) -> Command {
    let mut command = Command::new(compiler);
    command.args([
        "-std=c++17",
        "-fPIC",
        "-fvisibility=hidden",
        "-ffp-contract=off",
        "-fno-strict-aliasing",
        "-Icpp",
    ]);
    if checked {
        command.args(["-O1", "-DSIMT_CHECKED"]);
    } else {
        command.arg("-O2");
    }
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") && has_fma() {
        // Else a fused multiplication is a function.
        command.arg("-mfma");
    }
    command.arg("-c").arg(source).arg("-o").arg(object);
    command
}

#[cfg(target_arch = "x86_64")]
fn has_fma() -> bool {
    std::arch::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_fma() -> bool {
    false
}

/// Runs commands, so many at a time.
fn run_all(commands: Vec<Command>, threads: usize) -> io::Result<()> {
    let mut waiting = commands.into_iter();
    loop {
        let mut running = Vec::new();
        for mut command in waiting.by_ref().take(threads) {
            running.push((command.spawn()?, command));
        }
        if running.is_empty() {
            return Ok(());
        }
        for (mut child, command) in running {
            if !child.wait()?.success() {
                return Err(io::Error::other(format!("failed: {command:?}")));
            }
        }
    }
}
