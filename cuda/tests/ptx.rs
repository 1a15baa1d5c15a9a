//! The committed PTX is what NVRTC makes of the kernels, and ptxas finds it good. Needs neither GPU nor driver, but the
//! compilers that `cuda-sim/fetch-tools` gets. `INFOMARK_CUDA_TOOLS=write` writes the PTX.

use infomark_cuda_sim::tools::Tools;
use std::path::Path;
use std::{env, fs};

/// What the kernels' occupancy is planned with: 65536 registers for 5 blocks of 128 threads, or 1 of 512.
const MOST_REGISTERS: u32 = 96;
const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];
const KERNELS: usize = 26;

#[test]
#[ignore = "needs NVIDIA's compilers: cuda-sim/fetch-tools"]
fn the_ptx_is_current_and_its_kernels_spill_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mode = env::var("INFOMARK_CUDA_TOOLS").unwrap_or_default();
    let tools = Tools::find(&here.join("../.cuda"))?;
    let mut kernels = 0;
    for entry in fs::read_dir(here.join("kernels"))? {
        let source = entry?.path();
        if source.extension().is_none_or(|e| e != "cu") {
            continue;
        }
        let (ptx, committed) = (tools.compile(&source)?, source.with_extension("ptx"));
        if mode == "write" {
            fs::write(&committed, &ptx)?;
        }
        let current = fs::read_to_string(&committed).is_ok_and(|committed| committed == ptx);
        assert!(current, "{} is out of date: run with INFOMARK_CUDA_TOOLS=write", committed.display());
        for architecture in ARCHITECTURES {
            for usage in tools.assemble(&committed, architecture)? {
                println!("{architecture} {usage:?}");
                assert_eq!(usage.spilled, 0, "{usage:?} on {architecture}");
                assert!(usage.registers <= MOST_REGISTERS, "{usage:?} on {architecture}");
                kernels += 1;
            }
        }
    }
    assert_eq!(kernels, KERNELS * ARCHITECTURES.len());
    Ok(())
}
