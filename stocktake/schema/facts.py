"""What is known of a format without reading anything."""

import re
from dataclasses import dataclass

from stocktake.schema.options import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a format without reading anything.

    Attributes:
        title: what people call it, for messages.
        reader: the module that reads it; `stocktake.readers.registry` says what it offers.
        reader_version: part of every stored source state. Whoever changes what the reader answers
            raises it: states that another version wrote are ignored, and those tables are read
            afresh; tables of other formats are not.
        inferred: whether the types are inferred from values, so that only a full read proves
            them; otherwise the files carry them.
        folder: what lies in the root folder that names a table; empty for a format of files, which
            a pattern matches.
        folder_file: what the names of files in it are like that prove such a table, where others
            have a folder of that name too; None where the folder alone proves it.
        options: those that its reader looks at, beside the ones of every table.
        extensions: what its files' names end in, without the dot.
        magic: a file's first bytes, where it has some that no text has.
        uploadable: whether an uploaded file may be a table's content, or be loaded from.
        file_format: what `upload_file/` calls it; empty where it has no name there.
        takes_rows: whether rows of uploads may be loaded into a managed table of this format.
    """

    title: str
    reader: str
    reader_version: int
    inferred: bool = False
    folder: str = ""
    folder_file: re.Pattern[str] | None = None
    options: tuple[Option, ...] = ()
    extensions: tuple[str, ...] = ()
    magic: bytes = b""
    uploadable: bool = False
    file_format: str = ""
    takes_rows: bool = False

    def is_proved_by(self, name: str) -> bool:
        """Return whether a file of this name in a folder that is called `folder` makes the folder
        above that a table's root."""
        return self.folder_file is None or self.folder_file.fullmatch(name) is not None
