//! Editable installations: taking a project's modules from where they are.
//!
//! An installer leaves a project that is installed as editable where it is, and in the directory of
//! packages a `.pth` file that names its folder or imports a hook (PEP 660). A distribution says that
//! it is one in `direct_url.json` (PEP 610). Hooks are not executed: those of setuptools, `editables` and
//! scikit-build-core list in their text which module is where, and the interpreter parses that text.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::bundle::is_metadata_directory;

use super::collect::{Collection, Kind, is_executable};
use super::error::BuildError;
use super::interpreter::Interpreter;
use super::names;
use super::tree::{Content, Item, Tree};

/// Prints the modules that a hook's text lists, with their places, as JSON.
const READ_HOOK: &str = include_str!("editable_hook.py");

/// A distribution that is installed as editable.
#[derive(Debug)]
pub(super) struct Editable {
    /// Its name, for messages.
    name: String,
    /// The packages and modules that an installed copy would have at the root, if it says so.
    top_level: Option<Vec<String>>,
    /// The URL of the project's folder.
    url: String,
}

impl Editable {
    /// The distribution in the metadata directory `metadata`, if it is an editable installation.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`].
    pub(super) fn of(metadata: &str, tree: &Tree) -> Result<Option<Self>, BuildError> {
        let read = |file: &str| {
            (tree.get(&format!("{metadata}/{file}")))
                .map(|item| item.content.read().map(std::borrow::Cow::into_owned))
                .transpose()
        };
        let Some(url) = read("direct_url.json")?.and_then(|text| Self::url_said_by(&text)) else {
            return Ok(None);
        };
        let names = read("top_level.txt")?.map(|text| {
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        });
        let top_level = names.filter(|names: &Vec<String>| !names.is_empty());
        Ok(Some(Self { name: names::distribution(metadata), top_level, url }))
    }

    /// Whether the project's folder is one of `projects`, which are canonical paths.
    pub(super) fn is_one_of(&self, projects: Option<&[PathBuf]>) -> bool {
        projects.is_none_or(|projects| projects.iter().any(|project| file_url(project) == self.url))
    }

    /// The folder's URL, if a `direct_url.json` says that its distribution is an editable
    /// installation.
    fn url_said_by(direct_url: &[u8]) -> Option<String> {
        let origin: serde_json::Value = serde_json::from_slice(direct_url).ok()?;
        (origin["dir_info"]["editable"] == true)
            .then(|| origin["url"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether a `direct_url.json` says that its distribution is an editable installation.
    pub(super) fn is_said_by(direct_url: &[u8]) -> bool {
        Self::url_said_by(direct_url).is_some()
    }
}

/// The URL of a folder as installers write it: what need not be escaped in a path is not.
fn file_url(folder: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in folder.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(*byte));
            }
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// The projects that requirement files name as editable, as canonical paths. A relative one counts
/// from the working directory, as pip has it, and from the file, as uv does.
pub(super) fn projects_in(requirement_files: &[PathBuf]) -> Vec<PathBuf> {
    let mut projects = Vec::new();
    for file in requirement_files {
        let text = fs::read_to_string(file).unwrap_or_default();
        for line in text.lines().map(str::trim) {
            let rest = ["-e", "--editable"].iter().find_map(|option| {
                let rest = line.strip_prefix(option)?;
                rest.starts_with([' ', '\t', '=']).then_some(rest)
            });
            let Some(rest) = rest else { continue };
            let named = rest.trim_start_matches([' ', '\t', '=']);
            let named = named.split([' ', '\t', '[', ';']).next().unwrap_or_default();
            let named = named.strip_prefix("file://").unwrap_or(named);
            let beside = file.parent().unwrap_or(Path::new(""));
            let places = [PathBuf::from(named), beside.join(named)];
            projects.extend(places.iter().filter_map(|place| fs::canonicalize(place).ok()));
        }
    }
    projects
}

/// Takes modules from outside into a tree.
pub(super) struct Taker<'build> {
    pub tree: &'build mut Tree,
    pub warnings: &'build mut Vec<String>,
    pub origin: Arc<str>,
    pub interpreter: &'build Interpreter,
    pub output: &'build Path,
    /// The names of what was taken.
    pub taken: Vec<String>,
}

impl Taker<'_> {
    /// Takes what can be imported from `folder`, which the `.pth` file `path_file` puts on
    /// `sys.path`.
    ///
    /// # Errors
    ///
    /// As for [`Collection::collect`].
    pub(super) fn take_folder(
        &mut self,
        editable: Option<&Editable>,
        path_file: &str,
        folder: &Path,
    ) -> Result<(), BuildError> {
        let top_level = editable.and_then(|editable| editable.top_level.as_ref());
        let mut entries = fs::read_dir(folder)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(BuildError::read(folder))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut found = Vec::new();
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            let module = if path.is_dir() { Some(name) } else { self.module_of(name) };
            if path.is_dir() && is_metadata_directory(name) {
                // How distributions say who they are that were installed by `setup.py develop`.
                if !self.has_distribution(name) {
                    self.take_directory(&path, name)?;
                }
                continue;
            }
            let Some(module) = module.filter(|module| names::is_word(module)) else { continue };
            let is_asked_for =
                top_level.is_none_or(|names| names.iter().any(|name| name == module));
            // What comes first on `sys.path` shadows what comes later.
            if !is_asked_for || self.has_module(module) {
                continue;
            }
            let taken = if path.is_dir() {
                self.take_directory(&path, name)?
            } else {
                self.take_file(&path, name.to_owned())?;
                true
            };
            if taken {
                found.push(module.to_owned());
            }
        }
        let is_project =
            ["pyproject.toml", "setup.py"].iter().any(|name| folder.join(name).is_file());
        if top_level.is_none() && is_project {
            self.warnings.push(format!(
                "`{path_file}` puts the project in `{}` on the path: everything there that can be \
                 imported was taken ({}); where that is too much, give the project by --project",
                folder.display(),
                found.join(", ")
            ));
        }
        Ok(())
    }

    /// Takes the modules that the hook which `line` of a `.pth` file imports from `root` lists; says
    /// whether it lists any. `owned` are the files of the distribution, whose hook goes.
    ///
    /// # Errors
    ///
    /// As for [`Collection::collect`].
    pub(super) fn take_hook(
        &mut self,
        editable: &Editable,
        line: &str,
        root: &Path,
        owned: &HashSet<String>,
    ) -> Result<bool, BuildError> {
        let words = line.split(|character: char| character != '_' && !character.is_alphanumeric());
        let hooks: Vec<String> = words
            .map(|word| format!("{word}.py"))
            .filter(|name| self.tree.contains(name) && root.join(name).is_file())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut modules = BTreeMap::new();
        for hook in &hooks {
            // Another distribution's may be any module that the line uses.
            let listed = self.read_hook(&root.join(hook))?;
            if owned.contains(hook) {
                self.tree.remove(hook);
            }
            modules.extend(listed.into_iter().filter(|(module, _)| {
                module.split('.').all(names::is_identifier) && module != "__main__"
            }));
        }
        let lists_any = !modules.is_empty();
        for (module, places) in modules {
            let mut is_taken = false;
            for place in &places {
                is_taken |= self.take_module(&module, Path::new(place))?;
            }
            // A namespace may be there only for what is in it.
            if !is_taken && !places.is_empty() {
                self.warnings.push(format!(
                    "`{module}` of the editable project `{}` was left out: expected it at `{}`, \
                     found no module; install the project again",
                    editable.name, places[0]
                ));
            }
        }
        Ok(lists_any)
    }

    /// Says that nothing of an editable installation could be taken.
    pub(super) fn report_silent_hook(&mut self, editable: &Editable, path_file: &str) {
        self.warnings.push(format!(
            "`{}` is installed as an editable project, and the hook that `{path_file}` imports does \
             not say where its modules are: they were left out; install it there without \
             --editable, or give the project by --project too",
            editable.name
        ));
    }

    /// What a hook's text lists: the places of modules, by their dotted names.
    fn read_hook(&self, hook: &Path) -> Result<BTreeMap<String, Vec<String>>, BuildError> {
        let output = Command::new(&self.interpreter.executable)
            .args(["-I", "-S", "-c", READ_HOOK])
            .arg(hook)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| BuildError::Start {
                program: self.interpreter.executable.clone(),
                role: "the interpreter",
                source,
            })?;
        // A text that cannot be parsed lists nothing.
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Takes the module or package `module` from `place`: its directory, its file, or its file
    /// without the suffix. Says whether there is one.
    fn take_module(&mut self, module: &str, place: &Path) -> Result<bool, BuildError> {
        let name = module.replace('.', "/");
        if place.is_dir() {
            return self.take_directory(place, &name);
        }
        if place.file_name().is_some_and(|file| file == "__init__.py") {
            return match place.parent().filter(|_| place.is_file()) {
                Some(directory) => self.take_directory(directory, &name),
                None => Ok(false),
            };
        }
        let suffixes = [".py".to_owned(), ".pyc".to_owned()];
        let suffixes = self.interpreter.extension_suffixes.iter().chain(&suffixes);
        let known: Vec<String> = suffixes.clone().cloned().collect();
        let candidates =
            [(place.to_owned(), String::new())].into_iter().chain(suffixes.map(|suffix| {
                let mut path = place.as_os_str().to_owned();
                path.push(suffix);
                (PathBuf::from(path), suffix.clone())
            }));
        for (path, mut suffix) in candidates {
            if !path.is_file() {
                continue;
            }
            if suffix.is_empty() {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let dot = file.find('.').unwrap_or(file.len());
                suffix = file[dot..].to_owned();
                if !known.contains(&suffix) {
                    continue; // A module's file has a module's suffix.
                }
            }
            self.take_file(&path, name + &suffix)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes a directory of modules or of metadata as `name`; says whether it has any.
    fn take_directory(&mut self, directory: &Path, name: &str) -> Result<bool, BuildError> {
        let mut scratch = Tree::default();
        let mut warnings = Vec::new();
        Collection {
            root: directory,
            kind: Kind::Source,
            prefix: &format!("{name}/"),
            leaves_out: &HashSet::new(),
            origin: Arc::clone(&self.origin),
            magic: self.interpreter.magic,
            output: self.output,
        }
        .collect(&mut scratch, &mut warnings)?;
        let is_environment =
            ["pyvenv.cfg", "CACHEDIR.TAG"].iter().any(|mark| directory.join(mark).exists());
        let is_python = |name: &str| {
            names::is_source(name) || names::is_bytecode(name) || names::is_native(name)
        };
        if is_environment || !(is_metadata_directory(name) || scratch.names().any(is_python)) {
            return Ok(false);
        }
        self.warnings.extend(warnings);
        for (name, item) in scratch.into_files() {
            if !self.tree.contains(&name) {
                self.tree.add(name.clone(), item)?;
                self.taken.push(name);
            }
        }
        Ok(true)
    }

    fn take_file(&mut self, path: &Path, name: String) -> Result<(), BuildError> {
        if self.tree.contains(&name) {
            return Ok(());
        }
        let metadata = fs::metadata(path).map_err(BuildError::read(path))?;
        let item = Item {
            content: Content::File(Arc::from(path)),
            size: metadata.len(),
            executable: is_executable(&metadata),
            origin: Arc::clone(&self.origin),
        };
        self.tree.add(name.clone(), item)?;
        self.taken.push(name);
        Ok(())
    }

    /// The name of the module in the file `name`, if it is one's.
    fn module_of<'name>(&self, name: &'name str) -> Option<&'name str> {
        (name.strip_suffix(".py"))
            .or_else(|| names::extension_module(name, &self.interpreter.extension_suffixes))
    }

    /// Whether the tree has a module or a package with an `__init__` of that name at its root.
    fn has_module(&self, module: &str) -> bool {
        let suffixes = self.interpreter.extension_suffixes.iter().map(String::as_str);
        suffixes.chain([".py", ".pyc"]).any(|suffix| {
            self.tree.contains(&format!("{module}{suffix}"))
                || self.tree.contains(&format!("{module}/__init__{suffix}"))
        })
    }

    /// Whether the tree has metadata of the distribution in the metadata directory `directory`.
    fn has_distribution(&self, directory: &str) -> bool {
        let wanted = names::distribution(directory);
        (self.tree.names())
            .filter_map(|name| Some(name.split_once('/')?.0))
            .any(|top| is_metadata_directory(top) && names::distribution(top) == wanted)
    }
}
