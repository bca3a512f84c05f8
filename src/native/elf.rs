//! What the dynamic section of an ELF file says: which libraries it needs, where it wants them
//! looked for, and for which machine it is.
//!
//! Only headers and the strings that the dynamic section names are read; the symbols of a large
//! library are many megabytes.

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{DT_NEEDED, DT_RPATH, DT_RUNPATH};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::{Dynamic, Elf, header};

/// The names of the libraries that an ELF file needs, or `None` where `data` is none.
#[must_use]
pub fn needed_libraries(data: &[u8]) -> Option<Vec<String>> {
    DynamicSection::parse(data).map(|section| section.needed)
}

/// The facts of one ELF file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DynamicSection {
    /// `e_machine`
    pub machine: u16,
    /// Whether addresses have 64 bits.
    pub is_64_bit: bool,
    /// `DT_NEEDED`: names of libraries, in order.
    pub needed: Vec<String>,
    /// The directories of `DT_RUNPATH`, or else of `DT_RPATH`, as written.
    pub search: Vec<String>,
}

impl DynamicSection {
    /// Reads the headers of `data`, or returns `None` where it is no ELF file.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let header = Elf::parse_header(data).ok()?;
        let container = header.container().ok()?;
        let context = Ctx::new(container, header.endianness().ok()?);
        let facts = Self {
            machine: header.e_machine,
            is_64_bit: container == Container::Big,
            ..Self::default()
        };
        let start = usize::try_from(header.e_phoff).ok()?;
        let count = usize::from(header.e_phnum);
        let Ok(segments) = ProgramHeader::parse(data, start, count, context) else {
            return Some(facts);
        };
        let Ok(Some(dynamic)) = Dynamic::parse(data, &segments, context) else {
            return Some(facts);
        };
        let strings = dynamic.info.strtab;
        let texts = |tag: u64| {
            dynamic.dyns.iter().filter(move |entry| entry.d_tag == tag).filter_map(|entry| {
                let at = strings.checked_add(usize::try_from(entry.d_val).ok()?)?;
                let rest = data.get(at..)?;
                let end = memchr::memchr(0, rest)?;
                Some(String::from_utf8_lossy(&rest[..end]).into_owned())
            })
        };
        let paths = |tag: u64| -> Vec<String> {
            let split = |text: String| text.split(':').map(str::to_owned).collect::<Vec<_>>();
            texts(tag).flat_map(split).filter(|path| !path.is_empty()).collect()
        };
        let run_paths = paths(DT_RUNPATH);
        Some(Self {
            needed: texts(DT_NEEDED).collect(),
            search: if run_paths.is_empty() { paths(DT_RPATH) } else { run_paths },
            ..facts
        })
    }

    /// The machine in words, such as `aarch64, 64 bits`.
    pub(super) fn architecture(&self) -> String {
        let name = match self.machine {
            header::EM_X86_64 => "x86-64",
            header::EM_AARCH64 => "aarch64",
            header::EM_386 => "x86",
            header::EM_ARM => "arm",
            header::EM_PPC64 => "ppc64",
            header::EM_S390 => "s390x",
            header::EM_RISCV => "riscv",
            other => header::machine_to_str(other),
        };
        format!("{name}, {} bits", if self.is_64_bit { 64 } else { 32 })
    }

    /// The facts of the program that runs, which its libraries have to share.
    pub(super) fn of_this_process() -> Option<Self> {
        let program = std::fs::File::open("/proc/self/exe").ok()?;
        let mut head = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(program, 64), &mut head).ok()?;
        Self::parse(&head)
    }
}
