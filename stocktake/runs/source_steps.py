"""The steps of reading a source, tried one after the other, each told apart from the others.

Nothing is asked of a store but what a reader asks: who has heard a refusal knew the host's name and
believed its certificate, so that the answer to one request tells of several steps.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from stocktake.errors import (
    FormatMismatchError,
    JobError,
    KeyRefusedError,
    SourceNotFoundError,
    StorageUnavailableError,
    WrongRegionError,
)
from stocktake.jobs.arguments import SourceArguments
from stocktake.limits import Limits
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Progress, Source
from stocktake.schema.formats import TableFormat, format_of_file
from stocktake.states import SourceStep, StepOutcome
from stocktake.storage.places.globs import is_glob, literal, matcher, naming
from stocktake.storage.places.grants import Reach, least_grant, reach_of
from stocktake.storage.places.guard import GuardPolicy, recheck
from stocktake.storage.places.providers import match_host
from stocktake.storage.places.urls import Location
from stocktake.storage.stores.opening import ObjectStore, open_source
from stocktake.storage.stores.protocol import Credential

#: What is looked at of a listing: one page.
_LOOKED_AT: Final = 1000
#: What is got of a file, to see that it can be.
_FIRST_BYTES: Final = 16
_LOCAL: Final = "It is a folder of this machine."
_NOT_REACHED: Final = "A step before it failed."
#: What the store's answer to a request tells of, beside what was asked.
_HEARD: Final = (SourceStep.TLS, SourceStep.REGION, SourceStep.CREDENTIAL)
_ANSWERED: Final = (SourceStep.LIST, SourceStep.GET)
#: Those that a root folder names, each once.
_FOLDERS: Final = tuple(
    {each.facts.folder: each for each in reversed(TableFormat) if each.is_folder}.values()
)
#: Codes of a store that is there and does not speak as it should.
_OF_TLS: Final = ("certificate_refused", "wrong_protocol")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step came to.

    Attributes:
        detail: a sentence for people.
        code: the error's; None where there was none.
        hint: what to do about it.
    """

    step: SourceStep
    outcome: StepOutcome
    detail: str
    code: str | None = None
    hint: str | None = None


class SourceSteps:
    """One source, and what has become of its steps so far.

    Args:
        asked: what is to be tried; a format that it leaves out is found out.
        credential: decrypted; None for a folder or a public source.
    """

    def __init__(
        self,
        asked: SourceArguments,
        credential: Credential | None,
        guard: GuardPolicy,
        limits: Limits,
        progress: Progress,
    ) -> None:
        self._asked = asked
        self._credential = credential
        self._guard = guard
        self._limits = limits
        self._progress = progress
        self._format = asked.format
        self._file: str | None = None
        self._found: Introspection | None = None
        self._results: dict[SourceStep, StepResult] = {}
        self._location: Location
        self._store: ObjectStore
        self._path: str

    def try_all(self) -> None:
        """Try each step, up to the first that fails."""
        step = SourceStep.URL
        try:
            for step, attempt in self._in_order():
                self._results.setdefault(step, _passed(step, attempt()))
                if step in _ANSWERED and self._results[step].outcome is StepOutcome.PASSED:
                    self._has_answered()
        except JobError as exc:
            self._refused(step, exc)

    def as_dict(self) -> dict[str, Any]:
        """Return the job's ``result``."""
        results = [self._results.get(step, _skipped(step, _NOT_REACHED)) for step in SourceStep]
        found = self._found
        columns = found.columns if found else ()
        return {
            "passed": all(each.outcome != StepOutcome.FAILED for each in results),
            "url_pattern": self._asked.url_pattern,
            "format": self._format,
            "steps": [asdict(each) for each in results],
            "columns": [{"name": each.name, "type": each.clickhouse} for each in columns],
            "row_count": found.row_count if found else None,
            "warnings": [each.as_dict() for each in found.warnings] if found else [],
            "grant": self._grant(),
        }

    def _in_order(self) -> Iterator[tuple[SourceStep, Callable[[], str]]]:
        yield SourceStep.URL, self._look_at_url
        if self._is_local:
            for step in (SourceStep.DNS, *_HEARD):
                self._results[step] = _skipped(step, _LOCAL)
        else:
            yield SourceStep.DNS, self._look_up
        yield SourceStep.LIST, self._list
        yield SourceStep.GET, self._get
        yield SourceStep.FORMAT, self._read

    # --- the steps -----------------------------------------------------------------------------

    def _look_at_url(self) -> str:
        self._location = recheck(self._asked.url_pattern, self._guard)
        public = bool(self._asked.options.get("public"))
        self._store, self._path = open_source(self._location, self._credential, public=public)
        if self._is_local:
            return _LOCAL
        known = match_host(self._location.host)
        store = known.store if known else f"A store at {self._location.host}"
        return f'{store}, bucket "{self._location.bucket}".'

    def _look_up(self) -> str:
        host, port = self._location.host, self._location.port
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise StorageUnavailableError(
                f"The name {host} is not known (DNS).",
                hint="Check the host's name in the URL pattern, and the DNS of the machine that "
                "reads.",
            ) from exc
        addresses = {answer[4][0] for answer in answers}
        return f"{host} has {_count(len(addresses), 'address', 'addresses')}."

    def _list(self) -> str:
        self._format = self._format or self._folder_format()
        reach = reach_of(self._path, self._format)
        if reach.folder is None:
            step = SourceStep.LIST
            self._results[step] = _skipped(step, "A pattern without wildcards is got, not listed.")
            return ""
        wanted = self._wanted(reach)
        listed = list(islice(self._store.list(reach.prefix), _LOOKED_AT))
        found = [each for each in listed if wanted(each.path)]
        if not found:
            raise _nothing(self._format, len(listed))
        self._file = max(found, key=lambda each: (each.size > 0, each.modified_at)).path
        cut = f" of the first {_LOOKED_AT:,}" if len(listed) == _LOOKED_AT else ""
        return f"{_count(len(found), 'file', 'files')}{cut}."

    def _get(self) -> str:
        path = self._file or literal(self._path)
        chunk = self._store.get(path, length=_FIRST_BYTES)
        self._file = path
        return f"{path.rpartition('/')[2]} has {_count(chunk.info.size, 'byte', 'bytes')}."

    def _read(self) -> str:
        known = self._format or format_of_file(self._file or "")
        if known is None:
            raise FormatMismatchError(
                "The files' names do not tell their format.", hint="Give the format."
            )
        self._format = known
        source = Source(
            store=self._store, path=self._path, format=known, options=dict(self._asked.options)
        )
        self._found = introspect(source, self._limits, self._progress)
        return f"{known.facts.title}, {_count(len(self._found.columns), 'column', 'columns')}."

    # --- what they need ------------------------------------------------------------------------

    @property
    def _is_local(self) -> bool:
        return self._location.provider == "file"

    def _folder_format(self) -> TableFormat | None:
        """Return the format whose folder lies in the one that is named; None for files."""
        if is_glob(self._path) or format_of_file(self._path):
            return None
        root = literal(self._path).strip("/")
        for each in _FOLDERS:
            inside = f"{root}/{each.facts.folder}/".lstrip("/")
            listed = islice(self._store.list(inside), _LOOKED_AT)
            if any(each.facts.is_proved_by(info.path.removeprefix(inside)) for info in listed):
                return each
        return None

    def _wanted(self, reach: Reach) -> Callable[[str], bool]:
        if self._format is not None and self._format.is_folder:
            proved = self._format.facts.is_proved_by
            return lambda path: proved(path.removeprefix(reach.prefix))
        matches, names = matcher(self._path), naming(self._path)
        return lambda path: not path.endswith("/") and matches(path) and names(path)

    def _has_answered(self, up_to: SourceStep | None = None) -> None:
        """Note that the store has answered a request, of which it refused what is named."""
        for step, detail in self._heard():
            if step is up_to:
                return
            self._results.setdefault(step, detail)

    def _heard(self) -> Iterator[tuple[SourceStep, StepResult]]:
        plain = self._location.scheme == "http"
        said = "It is asked in plain http." if plain else "Its certificate is believed."
        yield SourceStep.TLS, _passed(SourceStep.TLS, said)
        yield SourceStep.REGION, _passed(SourceStep.REGION, "The bucket answers there.")
        step = SourceStep.CREDENTIAL
        if self._asked.options.get("public"):
            yield step, _skipped(step, "It is read unsigned.")
        else:
            yield step, _passed(step, "The store knows the key.")

    def _refused(self, step: SourceStep, error: JobError) -> None:
        """Note the error of a step at the step that it tells of."""
        if step in _ANSWERED:
            step = _told_by(error) or step
            self._has_answered(up_to=step)
        self._results[step] = StepResult(
            step=step,
            outcome=StepOutcome.FAILED,
            detail=error.detail,
            code=error.code,
            hint=error.hint,
        )

    def _grant(self) -> dict[str, str] | None:
        if SourceStep.DNS not in self._results:
            return None  # the guard does not let it through
        grant = least_grant(self._location, self._format)
        return None if grant is None or self._asked.options.get("public") else grant.as_dict()


def _told_by(error: JobError) -> SourceStep | None:
    """Return the step that failed, where it is not the one that was tried."""
    unreached = isinstance(error, StorageUnavailableError) and not error.reached
    if unreached or error.code in _OF_TLS:
        return SourceStep.TLS
    if isinstance(error, WrongRegionError):
        return SourceStep.REGION
    return SourceStep.CREDENTIAL if isinstance(error, KeyRefusedError) else None


def _nothing(table_format: TableFormat | None, listed: int) -> SourceNotFoundError:
    if table_format is not None and table_format.is_folder:
        return SourceNotFoundError(
            f"There is no {table_format.facts.title} table: its folder "
            f"{table_format.facts.folder}/ holds nothing of one.",
            hint="Name the table's root folder, or give another format.",
        )
    if listed:
        return SourceNotFoundError(
            f"None of {_count(listed, 'file', 'files')} with the pattern's beginning matches it.",
            hint="Check the pattern's wildcards: * stops at a slash, ** does not.",
        )
    return SourceNotFoundError("No file's name begins as the pattern does.")


def _passed(step: SourceStep, detail: str) -> StepResult:
    return StepResult(step=step, outcome=StepOutcome.PASSED, detail=detail)


def _skipped(step: SourceStep, detail: str) -> StepResult:
    return StepResult(step=step, outcome=StepOutcome.SKIPPED, detail=detail)


def _count(number: int, one: str, more: str) -> str:
    """Return a number of things.

    >>> _count(1, "file", "files"), _count(1200, "file", "files")
    ('1 file', '1,200 files')
    """
    return f"1 {one}" if number == 1 else f"{number:,} {more}"
