"""The operations as methods: each is named once for either client, and written once for both.

A descriptor makes a method of a generator, with the generator's own arguments and types.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from stocktake.client import (
    account,
    batches,
    changes,
    jobs,
    looking,
    project,
    schedules,
    tables,
    uploads,
    watching,
)
from stocktake.client.requests import Flow, Stream

P = ParamSpec("P")
T = TypeVar("T")


class Runs(Protocol):
    """What carries out operations, and blocks meanwhile."""

    def run(self, flow: Flow[T]) -> T:
        """Carry out an operation to its end."""

    def each(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out an operation as far as somebody iterates."""


class AsyncRuns(Protocol):
    """As `Runs`, and blocks nobody."""

    async def run(self, flow: Flow[T]) -> T:
        """Carry out an operation to its end."""

    def each(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out an operation as far as somebody iterates."""


class _Method(Generic[P, T]):
    """Base of the descriptors."""

    def __init__(self, operation: Callable[P, T]) -> None:
        self._operation = operation
        self.__doc__ = operation.__doc__

    def _of(self, carry_out: Callable[[T], Any]) -> Any:
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return carry_out(self._operation(*args, **kwargs))

        return update_wrapper(method, self._operation)


class Once(_Method[P, Flow[T]], Generic[P, T]):
    """A method that returns what an operation ends with."""

    @overload
    def __get__(self, it: None, owner: type) -> Self: ...
    @overload
    def __get__(self, it: Runs, owner: type) -> Callable[P, T]: ...
    def __get__(self, it: Runs | None, owner: type) -> Self | Callable[P, T]:
        """Return the method of an instance."""
        return self if it is None else self._of(it.run)


class Each(_Method[P, Stream[T]], Generic[P, T]):
    """A method that iterates over what an operation shows."""

    @overload
    def __get__(self, it: None, owner: type) -> Self: ...
    @overload
    def __get__(self, it: Runs, owner: type) -> Callable[P, Iterator[T]]: ...
    def __get__(self, it: Runs | None, owner: type) -> Self | Callable[P, Iterator[T]]:
        """Return the method of an instance."""
        return self if it is None else self._of(it.each)


class AsyncOnce(_Method[P, Flow[T]], Generic[P, T]):
    """As `Once`, to be awaited."""

    @overload
    def __get__(self, it: None, owner: type) -> Self: ...
    @overload
    def __get__(self, it: AsyncRuns, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, it: AsyncRuns | None, owner: type) -> Self | Callable[P, Awaitable[T]]:
        """Return the method of an instance."""
        return self if it is None else self._of(it.run)


class AsyncEach(_Method[P, Stream[T]], Generic[P, T]):
    """As `Each`, for `async for`."""

    @overload
    def __get__(self, it: None, owner: type) -> Self: ...
    @overload
    def __get__(self, it: AsyncRuns, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, it: AsyncRuns | None, owner: type) -> Self | Callable[P, AsyncIterator[T]]:
        """Return the method of an instance."""
        return self if it is None else self._of(it.each)


class Itself:
    """What `Client` does beside its resources."""

    watch = Each(watching.watch)
    audit_log = Each(account.audit_log)
    projects = Each(account.list_projects)
    whoami = Once(account.whoami)


class AsyncItself:
    """As `Itself`."""

    watch = AsyncEach(watching.watch)
    audit_log = AsyncEach(account.audit_log)
    projects = AsyncEach(account.list_projects)
    whoami = AsyncOnce(account.whoami)


class _Resource:
    def __init__(self, client: Runs) -> None:
        self.run, self.each = client.run, client.each


class _AsyncResource:
    def __init__(self, client: AsyncRuns) -> None:
        self.run, self.each = client.run, client.each


class Tables(_Resource):
    """`client.tables`."""

    list = Each(tables.list_tables)
    counts = Once(tables.count_tables)
    get = Once(tables.get_table)
    create = Once(tables.create_table)
    edit = Once(tables.edit_table)
    delete = Once(tables.delete_table)
    refresh = Once(tables.refresh_table)
    plan = Once(tables.plan_refresh)
    maintain = Once(tables.maintain_table)
    restore = Once(tables.restore_table)
    set_types = Once(tables.set_types)
    history = Each(tables.history)
    version = Once(tables.get_version)
    schema = Once(tables.live_schema)
    diff = Once(tables.diff)
    upload = Once(uploads.upload)
    check = Once(uploads.check_file)
    check_landing = Once(uploads.check_landing)
    check_source = Once(looking.check_source)
    preview = Once(looking.preview)


class AsyncTables(_AsyncResource):
    """`client.tables` of an `AsyncClient`."""

    list = AsyncEach(tables.list_tables)
    counts = AsyncOnce(tables.count_tables)
    get = AsyncOnce(tables.get_table)
    create = AsyncOnce(tables.create_table)
    edit = AsyncOnce(tables.edit_table)
    delete = AsyncOnce(tables.delete_table)
    refresh = AsyncOnce(tables.refresh_table)
    plan = AsyncOnce(tables.plan_refresh)
    maintain = AsyncOnce(tables.maintain_table)
    restore = AsyncOnce(tables.restore_table)
    set_types = AsyncOnce(tables.set_types)
    history = AsyncEach(tables.history)
    version = AsyncOnce(tables.get_version)
    schema = AsyncOnce(tables.live_schema)
    diff = AsyncOnce(tables.diff)
    upload = AsyncOnce(uploads.upload)
    check = AsyncOnce(uploads.check_file)
    check_landing = AsyncOnce(uploads.check_landing)
    check_source = AsyncOnce(looking.check_source)
    preview = AsyncOnce(looking.preview)


class Jobs(_Resource):
    """`client.jobs`."""

    list = Each(jobs.list_jobs)
    get = Once(jobs.get_job)
    cancel = Once(jobs.cancel_job)
    retry = Once(jobs.retry_job)
    wait = Once(jobs.wait_for_job)
    watch = Each(jobs.watch_job)


class AsyncJobs(_AsyncResource):
    """`client.jobs` of an `AsyncClient`."""

    list = AsyncEach(jobs.list_jobs)
    get = AsyncOnce(jobs.get_job)
    cancel = AsyncOnce(jobs.cancel_job)
    retry = AsyncOnce(jobs.retry_job)
    wait = AsyncOnce(jobs.wait_for_job)
    watch = AsyncEach(jobs.watch_job)


class Batches(_Resource):
    """`client.batches`."""

    list = Each(batches.list_batches)
    start = Once(batches.start_batch)
    refresh = Once(batches.refresh_many)
    get = Once(batches.get_batch)
    cancel = Once(batches.cancel_batch)
    progress = Each(batches.progress)
    wait = Once(batches.wait_for_batch)


class AsyncBatches(_AsyncResource):
    """`client.batches` of an `AsyncClient`."""

    list = AsyncEach(batches.list_batches)
    start = AsyncOnce(batches.start_batch)
    refresh = AsyncOnce(batches.refresh_many)
    get = AsyncOnce(batches.get_batch)
    cancel = AsyncOnce(batches.cancel_batch)
    progress = AsyncEach(batches.progress)
    wait = AsyncOnce(batches.wait_for_batch)


class Schedules(_Resource):
    """`client.schedules`."""

    list = Each(schedules.list_schedules)
    get = Once(schedules.get_schedule)
    create = Once(schedules.create_schedule)
    edit = Once(schedules.edit_schedule)
    delete = Once(schedules.delete_schedule)
    run_now = Once(schedules.run_schedule)
    upcoming = Once(schedules.upcoming_fires)


class AsyncSchedules(_AsyncResource):
    """`client.schedules` of an `AsyncClient`."""

    list = AsyncEach(schedules.list_schedules)
    get = AsyncOnce(schedules.get_schedule)
    create = AsyncOnce(schedules.create_schedule)
    edit = AsyncOnce(schedules.edit_schedule)
    delete = AsyncOnce(schedules.delete_schedule)
    run_now = AsyncOnce(schedules.run_schedule)
    upcoming = AsyncOnce(schedules.upcoming_fires)


class Project(_Resource):
    """`client.project`."""

    get = Once(project.get_project)
    edit = Once(project.edit_project)


class AsyncProject(_AsyncResource):
    """`client.project` of an `AsyncClient`."""

    get = AsyncOnce(project.get_project)
    edit = AsyncOnce(project.edit_project)


class SchemaChanges(_Resource):
    """`client.changes`."""

    list = Each(changes.list_changes)
    get = Once(changes.get_change)
    latest = Once(changes.latest_change)
    decide = Once(changes.decide)
    accept = Once(changes.accept)
    pin = Once(changes.pin)
    reject = Once(changes.reject)
    undo = Once(changes.undo)


class AsyncSchemaChanges(_AsyncResource):
    """`client.changes` of an `AsyncClient`."""

    list = AsyncEach(changes.list_changes)
    get = AsyncOnce(changes.get_change)
    latest = AsyncOnce(changes.latest_change)
    decide = AsyncOnce(changes.decide)
    accept = AsyncOnce(changes.accept)
    pin = AsyncOnce(changes.pin)
    reject = AsyncOnce(changes.reject)
    undo = AsyncOnce(changes.undo)
