import io
import zipfile

from docutils import core

TEXT = """
Title
=====

.. include:: <isonum.txt>
.. |x| replace:: y
.. math:: a^2
.. code:: python

   def f(): pass

|copy| |x| `link <https://example.org>`_ :unknown:`role`
"""

settings = {"report_level": 5, "datestamp": None, "generator": None, "_disable_config": True}
for writer in "html5", "latex", "odt", "manpage", "s5", "xml":
    text = core.publish_string(TEXT, writer_name=writer, settings_overrides=settings)
    if writer == "odt":
        print(zipfile.ZipFile(io.BytesIO(text)).namelist())
    else:
        print(writer, text.decode())
print(
    core.publish_string(
        "Titel\n=====\n.. warnung:: x",
        writer_name="html5",
        settings_overrides={**settings, "language_code": "de"},
    ).decode()[-300:]
)
