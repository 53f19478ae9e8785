"""Why a read is ended that goes on for too long, or takes too much."""

from stocktake.errors import LimitExceededError, ReserveNeededError, WorkerStoppedError


def time_limit_error(seconds: float) -> LimitExceededError:
    """Return the error of an attempt that ran for too long."""
    return LimitExceededError(
        f"The read took longer than {seconds:g} seconds.",
        code="time_limit",
        hint="Narrow the source, or raise STOCKTAKE_JOB_TIME_LIMIT_SECONDS.",
    )


def silence_error(seconds: float) -> LimitExceededError:
    """Return the error of an attempt whose process gave no sign of life for too long."""
    return LimitExceededError(
        f"The read kept its process from doing anything else for {seconds:g} seconds.",
        code="time_limit",
        hint="Narrow the source, or raise STOCKTAKE_LEASE_SECONDS.",
    )


def memory_limit_error(resident: int, limit: int) -> LimitExceededError:
    """Return the error of an attempt that took too much; both in bytes."""
    return LimitExceededError(
        f"The read held {resident} bytes of memory; the limit is {limit}.",
        code="memory_limit",
        hint="Narrow the source, or raise STOCKTAKE_JOB_MEMORY_LIMIT_BYTES.",
    )


def stopped_error() -> WorkerStoppedError:
    """Return the error of an attempt that a stopping worker hands back."""
    return WorkerStoppedError("The worker was stopped while it read the source.")


def reserve_error() -> ReserveNeededError:
    """Return the error of an attempt that gives up a child of the reserve."""
    return ReserveNeededError(
        "The read took long, and a project of which nothing ran needed the worker's last child."
    )
