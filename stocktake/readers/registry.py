"""Find what a format's reader offers: it is the module that `schema.formats` names.

A reader is loaded when it is first asked for, so that one who reads Delta tables alone holds no CSV
reader; a worker loads all of them before it forks. What a reader must offer:

====================  =========================================================================
``read``              a `Reader`: look just far enough to know the columns
``read_all``          a `Reader`, where a file may be uploaded: look at every byte
``validate``          a `Validator`, where types are inferred
``records``, ``VALUES``  a `RecordReader` and what its values are, where types are inferred and a
                      file may be uploaded: the rows to load into a managed table
``data_file``         a `FileFinder`, where a folder is the table: one of its files
``probe``             where a folder is the table: whether it is the one of the last read
``batches``           a `BatchReader`, where files carry their types and may be uploaded
====================  =========================================================================
"""

from importlib import import_module
from typing import Any

from stocktake.schema.formats import TableFormat


def offered(table_format: TableFormat, name: str) -> Any:
    """Return what the format's reader has under this name.

    Raises:
        ValueError: it has no such thing. No other format's reader is taken in its place: that
            would read the files wrong, in silence.
    """
    module = import_module(table_format.facts.reader)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ValueError(
            f"{table_format.value} cannot be asked for that: its reader, {module.__name__}, "
            f"offers no {name!r}."
        ) from None


def load_all() -> None:
    """Load every format's reader, and the libraries that it needs."""
    for each in TableFormat:
        import_module(each.facts.reader)
