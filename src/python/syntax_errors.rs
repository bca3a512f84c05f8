//! The source line of a `SyntaxError`.
//!
//! What the parser finds comes with its line. For what the compiler finds later, such as a `return`
//! outside of a function, CPython's C code reads the line from the file, which is not there.

use pyo3::exceptions::PySyntaxError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// Gives a `SyntaxError` in the file `path` its line of `source`, where it has none.
pub(super) fn show_line(
    py: Python<'_>,
    error: &PyErr,
    source: &Bound<'_, PyAny>,
    path: &Bound<'_, PyAny>,
) {
    let set_line = || -> PyResult<()> {
        let value = error.value(py);
        let is_without_line =
            value.getattr("text")?.is_none() && value.getattr("filename")?.eq(path)?;
        if is_without_line && let Ok(data) = source.cast::<PyBytes>() {
            let number: usize = value.getattr("lineno")?.extract()?;
            let Some(line) = line_as_read_by_c(data.as_bytes(), number) else { return Ok(()) };
            value.setattr("text", &line)?;
            // What the compiler finds has the line among its arguments too.
            let arguments = value.getattr("args")?;
            if let Ok((message, details)) =
                arguments.extract::<(Bound<'_, PyAny>, Bound<'_, PyTuple>)>()
            {
                let details = details.to_list();
                details.set_item(3, line)?;
                value.setattr("args", (message, details.to_tuple()))?;
            }
        }
        Ok(())
    };
    if error.is_instance_of::<PySyntaxError>(py)
        && let Err(error) = set_line()
    {
        tracing::debug!(target: "mmport::bytecode", %error, "no line for a SyntaxError");
    }
}

/// A line as CPython's C code reads it from a file: by universal newlines, and in UTF-8 whatever the
/// file says; `None` for what is not.
fn line_as_read_by_c(data: &[u8], number: usize) -> Option<String> {
    let mut bytes = data.iter().copied().peekable();
    let mut line = Vec::new();
    for _ in 0..number {
        line.clear();
        while let Some(byte) = bytes.next() {
            if byte == b'\r' {
                bytes.next_if_eq(&b'\n');
            }
            if matches!(byte, b'\r' | b'\n') {
                line.push(b'\n');
                break;
            }
            line.push(byte);
        }
    }
    // Past the end there is no line.
    String::from_utf8(line).ok().filter(|line| !line.is_empty())
}
