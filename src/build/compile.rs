//! Compiling sources with the target interpreter, in parallel processes.
//!
//! Only the interpreter itself makes its bytecode, and a global lock keeps one process from
//! compiling two files at once; so there is one process per core, each fed over pipes by the
//! protocol that `compile_worker.py` describes. Source number `n` goes to process `n % count` and
//! results come back in the sources' order, so that the writer can take them as they come and
//! little waits in memory. Neither the number of processes nor their timing changes the result:
//! what depends on a process's history is normalized away (see `bytecode::normalize`).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::bytecode::{CodeShape, normalize};

use super::error::BuildError;
use super::interpreter::Interpreter;
use super::interruption::Interruption;
use super::tree::Content;

const WORKER: &str = include_str!("compile_worker.py");

/// Results that may wait for the writer, per process.
const WAITING: usize = 16;

/// How long to wait for a result before looking whether the build was interrupted.
const PATIENCE: Duration = Duration::from_millis(50);

/// Length of the header before a `.pyc`'s marshalled code object.
const HEADER_LENGTH: usize = 16;

/// A source to be compiled.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The entry's name, which becomes the code object's `co_filename`.
    pub name: String,
    /// Where its text is.
    pub content: Content,
}

/// What became of a source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Compiled {
    /// The complete `.pyc`.
    Bytecode(Vec<u8>),
    /// The interpreter does not accept the source, and says why.
    Rejected(String),
}

/// Compiled sources, in the sources' order.
pub(super) struct Compiler {
    sources: Arc<Vec<Source>>,
    workers: Vec<Worker>,
    next: usize,
    shape: CodeShape,
    interruption: Interruption,
}

/// One compiling process. Dropping it ends the process.
struct Worker {
    child: Child,
    results: Receiver<io::Result<(bool, Vec<u8>)>>,
    /// Why the sources could not be fed to it, when that was not the process's fault.
    unreadable: Arc<Mutex<Option<BuildError>>>,
    errors: File,
}

impl Compiler {
    /// Starts compiling `sources` in up to `processes` processes.
    ///
    /// # Errors
    ///
    /// [`BuildError::Start`] when a process cannot be started.
    pub(super) fn start(
        interpreter: &Interpreter,
        sources: Vec<Source>,
        processes: usize,
        interruption: &Interruption,
    ) -> Result<Self, BuildError> {
        let sources = Arc::new(sources);
        let count = processes.clamp(1, sources.len().max(1));
        let workers = (0..count)
            .map(|number| Worker::start(interpreter, &sources, number, count))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            sources,
            workers,
            next: 0,
            shape: CodeShape::of(interpreter.minor),
            interruption: interruption.clone(),
        })
    }

    /// The result for the next source, or `None` after the last.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] when the source cannot be read, [`BuildError::CompilerDied`] when its
    /// process ended, [`BuildError::Interrupted`].
    pub(super) fn next(&mut self) -> Result<Option<Compiled>, BuildError> {
        let Some(source) = self.sources.get(self.next) else {
            return Ok(None);
        };
        let count = self.workers.len();
        let worker = &mut self.workers[self.next % count];
        self.next += 1;
        let result = loop {
            self.interruption.check()?;
            match worker.results.recv_timeout(PATIENCE) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        match result {
            Ok((true, bytecode)) => Ok(Some(Compiled::Bytecode(self.normalized(bytecode)))),
            Ok((false, reason)) => {
                Ok(Some(Compiled::Rejected(String::from_utf8_lossy(&reason).into_owned())))
            }
            Err(_) => {
                let error = worker.death(&source.name);
                // An interrupt from the terminal reaches the processes too, and may end them first.
                thread::sleep(PATIENCE);
                self.interruption.check()?;
                Err(error)
            }
        }
    }

    fn normalized(&self, mut bytecode: Vec<u8>) -> Vec<u8> {
        if let Some(data) = bytecode.get(HEADER_LENGTH..)
            && let Some(data) = normalize(data, self.shape)
        {
            bytecode.truncate(HEADER_LENGTH);
            bytecode.extend(data);
        }
        bytecode
    }
}

impl Worker {
    fn start(
        interpreter: &Interpreter,
        sources: &Arc<Vec<Source>>,
        number: usize,
        count: usize,
    ) -> Result<Self, BuildError> {
        let start_error = |source| BuildError::Start {
            program: interpreter.executable.clone(),
            role: "to compile",
            source,
        };
        let errors = tempfile::tempfile().map_err(start_error)?;
        let mut command = Command::new(&interpreter.executable);
        // `-I` would ignore the hash seed as well, so the environment is cleared of Python's other
        // variables by hand; with `-S` and only built-in modules imported nothing else can differ.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PYTHON") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .env("PYTHONHASHSEED", "0")
            .args(["-s", "-S", "-B", "-W", "ignore", "-c", WORKER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().map_err(start_error)?)
            .spawn()
            .map_err(start_error)?;
        let (sender, results) = sync_channel(WAITING);
        let unreadable = Arc::new(Mutex::new(None));
        let mine = move |sources: &Arc<Vec<Source>>| {
            let sources = Arc::clone(sources);
            (number..sources.len()).step_by(count).map(move |index| sources[index].clone())
        };
        if let Some(input) = child.stdin.take() {
            let (mine, unreadable) = (mine(sources), Arc::clone(&unreadable));
            thread::spawn(move || {
                if let Err(error) = feed(mine, input) {
                    *unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
        }
        if let Some(output) = child.stdout.take() {
            let expected = mine(sources).count();
            thread::spawn(move || receive(expected, output, &sender));
        }
        Ok(Self { child, results, unreadable, errors })
    }

    /// The error for a process that gave no result for `name`.
    fn death(&mut self, name: &str) -> BuildError {
        let mut unreadable = (self.unreadable.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = unreadable.take() {
            return error;
        }
        drop(unreadable);
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let mut output = Vec::new();
        // Without what it wrote the error still names the file and the status.
        let _ = (self.errors.seek(SeekFrom::Start(0)))
            .and_then(|_| self.errors.read_to_end(&mut output));
        BuildError::CompilerDied {
            name: name.to_owned(),
            status,
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended already when all went well; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the requests. A pipe that breaks is the reader's to report.
fn feed(sources: impl Iterator<Item = Source>, input: ChildStdin) -> Result<(), BuildError> {
    let mut input = BufWriter::with_capacity(1 << 16, input);
    for source in sources {
        let text = source.content.read()?;
        let lengths = [source.name.len() as u64, text.len() as u64];
        let written = (lengths.iter())
            .try_for_each(|length| input.write_all(&length.to_le_bytes()))
            .and_then(|()| input.write_all(source.name.as_bytes()))
            .and_then(|()| input.write_all(&text));
        if written.is_err() {
            return Ok(());
        }
    }
    let _ = input.flush();
    Ok(())
}

/// Reads the responses and passes them on, until the last, an error, or nobody takes them.
fn receive(
    expected: usize,
    output: ChildStdout,
    results: &SyncSender<io::Result<(bool, Vec<u8>)>>,
) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    for _ in 0..expected {
        let response = read_response(&mut output);
        let failed = response.is_err();
        if results.send(response).is_err() || failed {
            return;
        }
    }
}

/// Reads one response: whether it compiled, and the bytecode or the reason.
fn read_response(output: &mut impl Read) -> io::Result<(bool, Vec<u8>)> {
    let mut status = [0; 1];
    let mut length = [0; 8];
    output.read_exact(&mut status)?;
    output.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut answer = Vec::new();
    output.take(length).read_to_end(&mut answer)?;
    if answer.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((status[0] == 0, answer))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn compile(sources: &[(&str, &str)], processes: usize) -> Vec<Compiled> {
        let interpreter = Interpreter::probe(Path::new("python3")).unwrap();
        let sources = (sources.iter())
            .map(|(name, text)| Source {
                name: (*name).to_owned(),
                content: Content::Bytes(text.as_bytes().into()),
            })
            .collect();
        let interruption = Interruption::default();
        let mut compiler =
            Compiler::start(&interpreter, sources, processes, &interruption).unwrap();
        std::iter::from_fn(|| compiler.next().unwrap()).collect()
    }

    #[test]
    fn results_come_in_order_and_do_not_depend_on_the_processes() {
        let sources: Vec<(String, String)> = (0..40)
            .map(|number| {
                let text =
                    format!("def f{number}(a):\n    return a in {{'x', 'y', 'z{number}'}}\n");
                (format!("pkg/m{number}.py"), text)
            })
            .collect();
        let sources: Vec<(&str, &str)> =
            (sources.iter()).map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let one = compile(&sources, 1);
        assert_eq!(one.len(), 40);
        assert_eq!(one, compile(&sources, 3));
        let Compiled::Bytecode(bytecode) = &one[7] else {
            panic!("a valid source was rejected");
        };
        let name = b"pkg/m7.py";
        assert!(bytecode.windows(name.len()).any(|window| window == name));
        assert_eq!(&bytecode[4..8], &1_u32.to_le_bytes());
    }

    #[test]
    fn a_source_of_another_language_is_rejected_and_the_rest_goes_on() {
        let results = compile(&[("a.py", "print 'x'\n"), ("b.py", "x = 1\n")], 1);
        assert!(
            matches!(&results[0], Compiled::Rejected(reason) if reason.contains("SyntaxError"))
        );
        assert!(matches!(&results[1], Compiled::Bytecode(_)));
    }

    #[test]
    fn an_unreadable_source_is_named() {
        let interpreter = Interpreter::probe(Path::new("python3")).unwrap();
        let source = Source {
            name: "gone.py".into(),
            content: Content::File(Arc::from(Path::new("/no/such/gone.py"))),
        };
        let interruption = Interruption::default();
        let mut compiler = Compiler::start(&interpreter, vec![source], 1, &interruption).unwrap();
        assert!(matches!(compiler.next(), Err(BuildError::Read { .. })));
    }
}
