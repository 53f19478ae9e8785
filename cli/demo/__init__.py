"""`stocktake demo`: the whole service at work on real data, in one minute and with no set-up.

Every airport of the world goes into an object store and onto the disk as four kinds of table; the
service learns their columns, the sources change, and a bulk refresh finds out how.
"""

import importlib.util
import tempfile
from pathlib import Path

from stocktake.errors import CommandError


def run(*, keep: bool) -> None:
    """Tell the story and clean up, however it ends.

    Args:
        keep: whether to wait for Ctrl-C before the clean-up.

    Raises:
        CommandError: a part is missing, or something did not come out as it must.
    """
    if importlib.util.find_spec("airportsdata") is None or not _has_store():
        raise CommandError(
            "The demo needs two more packages, real data and an object store. In a checkout, "
            "`make demo` installs them; elsewhere: pip install 'stocktake[demo]'"
        )
    from cli.demo.story import Story  # late: pyarrow may not be asked for

    with tempfile.TemporaryDirectory(prefix="stocktake-demo-") as folder:
        story = Story(Path(folder).resolve())
        try:
            story.tell()
            if keep:
                story.wait()
        finally:
            story.end()


def _has_store() -> bool:
    from servers.seaweedfs import SeaweedFS

    return SeaweedFS.program.exists()
