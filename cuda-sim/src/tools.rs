//! NVIDIA's compilers, which run without a GPU: NVRTC makes the PTX that is committed, ptxas says what it needs.
#![allow(unsafe_code)] // A shared object is loaded and its functions called.

use libloading::Library;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io, ptr};
use thiserror::Error;

/// What the PTX is compiled with; `-I` with the folder of the kernels comes last.
pub const OPTIONS: [&str; 3] = ["--gpu-architecture=compute_80", "--std=c++17", "--fmad=false"];

/// Why a kernel could not be compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The compilers are not where they should be.
    #[error("{} is missing: cuda-sim/fetch-tools gets it", path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// A library can't be loaded.
    #[error("NVRTC can't be loaded")]
    Library(#[from] libloading::Error),
    /// A file can't be read, or a program can't be started.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A compiler refuses the kernel.
    #[error("{kernel}: {log}")]
    Refused {
        /// The file.
        kernel: String,
        /// What the compiler says.
        log: String,
    },
}

/// The compilers in a folder that `cuda-sim/fetch-tools` has filled.
#[derive(Clone, Debug)]
pub struct Tools {
    nvrtc: PathBuf,
    ptxas: PathBuf,
}

/// What one kernel needs on one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub kernel: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of registers that are kept in memory.
    pub spilled: u32,
}

impl Tools {
    /// The compilers in `folder`.
    ///
    /// # Errors
    /// When one is missing.
    pub fn find(folder: &Path) -> Result<Self, ToolError> {
        let nvrtc = folder.join("nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        let ptxas = folder.join("nvidia/cuda_nvcc/bin/ptxas");
        for path in [&nvrtc, &ptxas] {
            if !path.exists() {
                return Err(ToolError::Missing { path: path.clone() });
            }
        }
        Ok(Self { nvrtc, ptxas })
    }

    /// The PTX of a file of kernels.
    ///
    /// # Errors
    /// When it can't be read or NVRTC refuses it.
    pub fn compile(&self, kernel: &Path) -> Result<String, ToolError> {
        let file = |source| ToolError::File { path: kernel.to_path_buf(), source };
        let source = CString::new(fs::read(kernel).map_err(file)?).map_err(|e| file(e.into()))?;
        let name = kernel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = kernel.parent().unwrap_or(Path::new("."));
        let options = OPTIONS.map(str::to_owned).into_iter().chain([format!("-I{}", folder.display())]);
        let options: Vec<CString> = options.filter_map(|o| CString::new(o).ok()).collect();
        // SAFETY: NVIDIA's compiler; loading it runs nothing else.
        let library = unsafe { Library::new(&self.nvrtc) }?;
        let nvrtc = Nvrtc { library: &library };
        let mut program = ptr::null_mut();
        let c_name = CString::new(name.as_str()).unwrap_or_default();
        // SAFETY: the functions have these types (nvrtc.h, version 12); all strings end with 0 and outlive the calls.
        unsafe {
            type Create = unsafe extern "C" fn(
                *mut *mut c_void,
                *const c_char,
                *const c_char,
                c_int,
                *const *const c_char,
                *const *const c_char,
            ) -> c_int;
            type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
            let create = library.get::<Create>(b"nvrtcCreateProgram")?;
            create(&mut program, source.as_ptr(), c_name.as_ptr(), 0, ptr::null(), ptr::null());
            let compile = library.get::<Compile>(b"nvrtcCompileProgram")?;
            let pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
            let code = compile(program, pointers.len() as c_int, pointers.as_ptr());
            let text = if code == 0 {
                nvrtc.text(program, b"nvrtcGetPTXSize", b"nvrtcGetPTX")
            } else {
                nvrtc.text(program, b"nvrtcGetProgramLogSize", b"nvrtcGetProgramLog")
            };
            type Destroy = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
            library.get::<Destroy>(b"nvrtcDestroyProgram")?(&mut program);
            if code == 0 { text } else { Err(ToolError::Refused { kernel: name, log: text? }) }
        }
    }

    /// What each kernel of a PTX file needs on an architecture, `sm_80` say.
    ///
    /// # Errors
    /// When ptxas does not run or refuses the file.
    pub fn assemble(&self, ptx: &Path, architecture: &str) -> Result<Vec<Usage>, ToolError> {
        let file = |source| ToolError::File { path: self.ptxas.clone(), source };
        // Not to /dev/null: a compiler that fails removes what it has written, which the superuser may do.
        let folder = tempfile::tempdir().map_err(file)?;
        let output = Command::new(&self.ptxas)
            .arg("-v")
            .arg("-o")
            .arg(folder.path().join("kernels.cubin"))
            .arg(format!("-arch={architecture}"))
            .arg(ptx)
            .output()
            .map_err(file)?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(ToolError::Refused { kernel: ptx.display().to_string(), log });
        }
        Ok(usages(&log))
    }
}

struct Nvrtc<'a> {
    library: &'a Library,
}

impl Nvrtc<'_> {
    /// A text of the compiler's.
    ///
    /// # Safety
    /// `program` is one, and the functions are a pair that gives a text's size, its final 0 counted, and the text.
    unsafe fn text(&self, program: *mut c_void, size: &[u8], get: &[u8]) -> Result<String, ToolError> {
        let mut bytes = 0usize;
        // SAFETY: the functions have these types; the buffer has the size that was asked for.
        let text = unsafe {
            self.library.get::<unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int>(size)?(
                program, &mut bytes,
            );
            let mut text = vec![0u8; bytes];
            self.library.get::<unsafe extern "C" fn(*mut c_void, *mut u8) -> c_int>(get)?(
                program,
                text.as_mut_ptr(),
            );
            text
        };
        Ok(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned())
    }
}

/// Reads the report of `ptxas -v`.
fn usages(log: &str) -> Vec<Usage> {
    let number = |text: &str| text.trim().split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
    let mut usages: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Function properties for ") {
            usages.push(Usage { kernel: rest.trim().to_owned(), registers: u32::MAX, spilled: u32::MAX });
        } else if let (Some(usage), Some((_, rest))) = (usages.last_mut(), line.split_once("Used ")) {
            usage.registers = number(rest);
        } else if let (Some(usage), true) = (usages.last_mut(), line.contains("bytes spill stores")) {
            let parts = line.split(',').skip(1).map(number);
            usage.spilled = parts.fold(0, u32::saturating_add);
        }
    }
    usages
}
