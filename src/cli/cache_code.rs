//! `mmport cache list`, `warm` and `show`: code objects that were compiled.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::bundle::{Bundle, Found, FoundKind};
use crate::bytecode::{CachedCode, Key, Target, cached_code, marshalled_code};
use crate::embed::{Disassembler, identity, warm_cache, with_target};
use crate::native::cache_root;

use super::Failure;
use super::cache::printable;
use super::failure::FAILED;
use super::inspect::{bytes, print, to_json};

/// Length of what is before the code object in a `.pyc`.
const HEADER: usize = 16;

/// Arguments of `mmport cache show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The module's full name.
    module: String,

    /// The bundle, zip or directory that it would be imported from; without one, where it was when it
    /// was compiled.
    #[arg(long = "in", value_name = "BUNDLE")]
    place: Option<PathBuf>,

    /// Print the instructions that would run.
    #[arg(long)]
    dis: bool,
}

/// What is known about a module.
#[derive(Debug, Serialize)]
struct Shown<'shown> {
    module: &'shown str,
    /// Where its source is looked for.
    origin: Option<String>,
    /// The key of the source that is there.
    key: Option<String>,
    hit: bool,
    reason: String,
    /// The bundle's own bytecode.
    #[serde(skip)]
    own: Option<Vec<u8>>,
    stored: Vec<&'shown CachedCode>,
}

fn all_code() -> Vec<CachedCode> {
    cache_root().map_or_else(Vec::new, |root| cached_code(&root))
}

/// Lists what is stored.
pub(super) fn list(json: bool) -> Result<(), Failure> {
    let found = all_code();
    if json {
        return print(to_json(&found)?);
    }
    let mut text = String::new();
    for code in &found {
        let _ = writeln!(
            text,
            "{} {} {}, used {}: {}{}",
            code.target,
            code.module.escape_debug(),
            bytes(code.bytes),
            ago(code.used),
            printable(Path::new(&code.origin)),
            if code.is_sound { "" } else { " (damaged)" },
        );
    }
    if found.is_empty() {
        text.push_str("no code objects are cached\n");
    }
    print(text)
}

/// Compiles what a bundle has no bytecode of.
pub(super) fn warm(bundle: &Path, json: bool) -> Result<(), Failure> {
    if !bundle.is_dir() {
        // Said as for any bundle, before a Python is started.
        Bundle::open(bundle, identity::suffixes(0))?;
    }
    let warmed = warm_cache(bundle)?;
    if json {
        return print(to_json(&warmed)?);
    }
    let mut text = format!(
        "{} modules are in the cache now; {} have bytecode of their own; {} do not compile\n",
        warmed.compiled,
        warmed.with_bytecode,
        warmed.refused.len()
    );
    for (name, reason) in &warmed.refused {
        let _ =
            writeln!(text, "  {}: {}", printable(Path::new(name)), printable(Path::new(reason)));
    }
    print(text)
}

/// Shows what is stored of a module.
pub(super) fn show(arguments: &ShowArguments, json: bool) -> Result<(), Failure> {
    let all = all_code();
    let stored: Vec<&CachedCode> =
        all.iter().filter(|code| code.module == arguments.module).collect();
    if stored.is_empty() && arguments.place.is_none() {
        return Err(Failure {
            status: FAILED,
            message: format!(
                "failed to show `{}`: expected a module that was compiled, found none of that name \
                 in the cache",
                arguments.module.escape_debug()
            ),
            next_step: Some(
                "`mmport cache list` lists what is there; `--in BUNDLE` says where it would be \
                 imported from"
                    .into(),
            ),
        });
    }
    with_target(|target, disassemble| {
        let shown = look_at(arguments, stored, target)?;
        print(if json { to_json(&shown)? } else { describe(&shown) })?;
        if arguments.dis { print_instructions(&shown, disassemble) } else { Ok(()) }
    })?
}

fn print_instructions(shown: &Shown, disassemble: Disassembler) -> Result<(), Failure> {
    let key = shown.key.as_deref().filter(|_| shown.hit).and_then(Key::from_hex);
    let code = match &shown.own {
        Some(code) => Some(code.clone()),
        None => key.and_then(|key| marshalled_code(&cache_root()?, &key)),
    };
    match code {
        Some(code) => print(disassemble(&code, shown.origin.as_deref().unwrap_or_default())?),
        None => Err(Failure {
            status: FAILED,
            message: format!(
                "failed to print the instructions of `{}`: {}",
                shown.module.escape_debug(),
                shown.reason
            ),
            next_step: Some("import it once, or `mmport cache warm` its bundle".into()),
        }),
    }
}

fn look_at<'shown>(
    arguments: &'shown ShowArguments,
    stored: Vec<&'shown CachedCode>,
    target: Option<&Target>,
) -> Result<Shown<'shown>, Failure> {
    let module = &*arguments.module;
    let origin = match &arguments.place {
        Some(place) => place_of(module, place, target)?,
        None => Place::Source(stored[0].origin.clone()),
    };
    let mut shown = Shown {
        module,
        origin: None,
        key: None,
        hit: false,
        reason: String::new(),
        own: None,
        stored,
    };
    let path = match origin {
        Place::Source(path) => path,
        Place::WithBytecode(path, code) => {
            shown.reason = "the bundle has bytecode of its own, so the cache is not asked".into();
            (shown.origin, shown.own) = (Some(path), Some(code));
            return Ok(shown);
        }
        Place::Extension(path) => {
            shown.reason = "it is an extension module, which has no bytecode".into();
            shown.origin = Some(path);
            return Ok(shown);
        }
    };
    shown.origin = Some(path.clone());
    let Some(target) = target else {
        shown.reason = "this Python keeps no bytecode".into();
        return Ok(shown);
    };
    let Some(source) = read_source(&path) else {
        shown.reason = "miss: there is no source at its place any more".into();
        return Ok(shown);
    };
    let key = target.key(&source).to_string();
    (shown.hit, shown.reason) = verdict(&shown.stored, &key, &target.directory());
    shown.key = Some(key);
    Ok(shown)
}

/// Whether a source of this key is a hit, and why.
fn verdict(stored: &[&CachedCode], key: &str, target: &str) -> (bool, String) {
    match stored.iter().find(|code| code.key == key) {
        Some(code) if code.is_sound => {
            return (true, "hit: this source was compiled for this Python".into());
        }
        Some(_) => return (false, "miss: what is stored is damaged".into()),
        None => {}
    }
    // Another module may have had the same source.
    if all_code().iter().any(|code| code.key == key && code.is_sound) {
        return (true, "hit: another module with this source was compiled for this Python".into());
    }
    let reason = match stored.iter().find(|code| code.target == target) {
        Some(code) => {
            format!(
                "miss: the source is another one than that which was compiled {}",
                ago(code.written)
            )
        }
        None if stored.is_empty() => "miss: it was never compiled".into(),
        None => {
            let targets: Vec<&str> = stored.iter().map(|code| &*code.target).collect();
            format!("miss: it was compiled for {}, and this is {target}", targets.join(", "))
        }
    };
    (false, reason)
}

/// Where a module is.
enum Place {
    Source(String),
    /// With the marshalled code object that the bundle has of it.
    WithBytecode(String, Vec<u8>),
    Extension(String),
}

fn place_of(module: &str, place: &Path, target: Option<&Target>) -> Result<Place, Failure> {
    let path = module.replace('.', "/");
    let below = |name: &str| {
        let base = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
        format!("{}/{name}", base.display())
    };
    let missing = || Failure {
        status: FAILED,
        message: format!(
            "failed to show `{}`: there is no such module in `{}`",
            module.escape_debug(),
            place.display()
        ),
        next_step: Some("name it as it is imported".into()),
    };
    if place.is_dir() {
        let files = [format!("{path}/__init__.py"), format!("{path}.py")];
        let found = files.iter().find(|file| place.join(file).is_file());
        return found.map(|file| Place::Source(below(file))).ok_or_else(missing);
    }
    let bundle = Bundle::open(place, identity::suffixes(0))?;
    let (prefix, name) = path.rfind('/').map_or(("", &*path), |at| path.split_at(at + 1));
    let Some(Found::Module(found)) = bundle.find(prefix, name) else { return Err(missing()) };
    // Bytecode of another Python is as none.
    let usable = |bytecode: u32| -> Option<Vec<u8>> {
        let entry = bundle.entry_at(bytecode).ok()?;
        let data = entry.read().ok()?;
        let is_usable = target.is_some_and(|target| target.has_written(&data));
        Some(data.get(HEADER..).filter(|_| is_usable)?.to_vec())
    };
    let name_at = |ordinal: u32| Ok::<_, Failure>(below(&bundle.entry_at(ordinal)?.name()));
    match found.kind {
        FoundKind::Extension(entry) => name_at(entry).map(Place::Extension),
        FoundKind::Bytecode(entry) => {
            Ok(Place::WithBytecode(name_at(entry)?, usable(entry).unwrap_or_default()))
        }
        FoundKind::Source { source, cached, beside } => {
            let file = name_at(source)?;
            let own = cached.into_iter().chain(beside).find_map(usable);
            Ok(match own {
                Some(code) => Place::WithBytecode(file, code),
                None => Place::Source(file),
            })
        }
    }
}

/// The source at `origin`: a file, or an entry of the zip that is on the way there.
fn read_source(origin: &str) -> Option<Vec<u8>> {
    let origin = Path::new(origin);
    if origin.is_file() {
        return std::fs::read(origin).ok();
    }
    let zip = origin.ancestors().find(|path| path.is_file())?;
    let bundle = Bundle::open(zip, identity::suffixes(0)).ok()?;
    bundle.read(origin.strip_prefix(zip).ok()?.to_str()?).ok()
}

fn describe(shown: &Shown) -> String {
    let mut text = format!("{}: {}\n", shown.module.escape_debug(), shown.reason);
    for (title, value) in [("source", &shown.origin), ("its key", &shown.key)] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {title}: {}", printable(Path::new(value)));
        }
    }
    for code in &shown.stored {
        let _ = writeln!(
            text,
            "\n  stored for {}: {}, compiled {}, used {}{}\n    key: {}\n    from: {}",
            code.target,
            bytes(code.bytes),
            ago(code.written),
            ago(code.used),
            if code.is_sound { "" } else { "; damaged" },
            code.key,
            printable(Path::new(&code.origin)),
        );
    }
    text
}

/// A time, in seconds since the epoch, for people.
fn ago(time: u32) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.into());
    let elapsed = time.elapsed().unwrap_or_default();
    format!("{} ago", indicatif::HumanDuration(elapsed))
}
