"""All configuration, read once from ``STOCKTAKE_*`` in the environment and passed in.

``STOCKTAKE_X_FILE`` names a file that holds the value of X, as secrets are mounted. Nothing reads
them at import, and there are no default secrets: ``stocktake up`` makes them and keeps them in the
data directory with mode 600.
"""

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stocktake.errors import CommandError
from stocktake.limits import Limits

#: A list in the environment is comma-separated.
CommaSeparated = Annotated[tuple[str, ...], NoDecode]

#: The shape of an entry of ``TRUSTED_ENDPOINTS``; `storage.places.trusted` reads the rest.
TRUSTED_ENTRY: Final = re.compile(
    r"(?:(?P<protocol>s3|azure|gcs)\+)?(?P<url>https?://[^/\s@]+)/?", re.IGNORECASE
)

PREFIX: Final = "STOCKTAKE_"
_FILE: Final = "_FILE"
#: Names that are no settings of the service: the command line's, and what one process of ours tells
#: another.
_OF_OTHERS: Final = frozenset(
    {"URL", "API_KEY", "PROJECT_ID", "ACCESS_KEY", "ACCESS_SECRET", "READY_FILE"}
)
#: Those of our tests and benchmarks begin so, or are these.
_OF_TESTS: Final = ("TEST_", "BENCH_", "FAULT_", "FUZZ_", "MODEL_", "CORPUS")

_DATABASES = ("sqlite:///", "postgresql+psycopg://")
_BROKERS = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")
_URL_SCHEMES = ("https", "http", "file")


def listed(value: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, without the space around them and without
    blanks."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


class SettingsError(CommandError):
    """The environment says what no setting can be."""


class _Files(PydanticBaseSettingsSource):
    """The settings whose values are in files."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Find nothing: no setting is read one by one."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values, as texts."""
        given = from_files(os.environ)
        names = [name for name in os.environ if _is_of_a_file(name) and os.environ[name]]
        wanted = [name.removesuffix(_FILE) for name in names]
        return {name.removeprefix(PREFIX).lower(): given[name] for name in wanted}


class Settings(BaseSettings):
    """What an operator can set. Times are in seconds and sizes in bytes, as the names say."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True
    )

    database_url: str = "sqlite:///stocktake.db"
    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    data_dir: Path = Path(".stocktake")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    #: Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    #: Hosts, without a port, that `next` and `previous` repeat; ``*.`` stands for any below it. Of
    #: a request to another host they are paths.
    allowed_hosts: CommaSeparated = ("localhost", "127.0.0.1", "::1")
    log_level: str = "INFO"
    log_json: bool = True
    #: Whether the web process shows pages to people, at `/`.
    console: bool = True
    #: Where people find Flower, for the console's link to it; empty is nowhere.
    flower_url: str = Field(default="", pattern=r"^(https?://.*)?$")

    #: The first key encrypts; all of them decrypt. ``key_id:base64url of 32 bytes``.
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()

    allowed_url_schemes: CommaSeparated = ("https",)
    trusted_endpoints: CommaSeparated = ()
    local_roots: Annotated[tuple[Path, ...], NoDecode] = ()

    managed_storage_url: str | None = None
    managed_storage_access_key: str | None = None
    managed_storage_access_secret: SecretStr | None = None
    managed_storage_endpoint: str | None = None
    managed_storage_region: str | None = None
    max_upload_bytes: int = Field(default=52_428_800, gt=0)
    #: Superseded uploads keep their bytes this long, for readers that still hold the old URL.
    superseded_upload_seconds: float = Field(default=3600.0, ge=0)

    default_wait_seconds: float = Field(default=0.0, ge=0, le=60)
    rate_limit_per_minute: int = Field(default=480, ge=0)
    rate_limit_per_hour: int = Field(default=4800, ge=0)
    #: Refused keys a minute from one address, before they are answered 429; 0 is off.
    refused_keys_per_minute: int = Field(default=30, ge=0)
    #: Long polls, `Prefer: wait` and event streams of a key at once, in one process; 0 is off.
    max_waits_per_key: int = Field(default=200, ge=0)
    #: What a project may have, so that one can't take the service from the others; 0 is off.
    max_tables_per_project: int = Field(default=50_000, ge=0)
    max_schedules_per_project: int = Field(default=1000, ge=0)
    max_checks_per_project: int = Field(default=20, ge=0)
    max_stored_bytes_per_project: int = Field(default=50 * 1024**3, ge=0)
    max_kept_answer_bytes_per_project: int = Field(default=256 * 1024**2, ge=0)
    #: `/readyz` and `/metrics` give the same answer for so long.
    health_fresh_seconds: float = Field(default=1.0, ge=0)
    #: `api.wire.protocol.EdgeLimits` says what these four bound.
    max_connections: int = Field(default=1000, ge=1)
    request_head_seconds: float = Field(default=10.0, gt=0)
    request_min_bytes_per_second: int = Field(default=1024, ge=0)
    request_linger_seconds: float = Field(default=30.0, ge=0)
    #: How long an idle connection is kept for its client's next request: longer than clients and
    #: proxies keep one. A request that is sent while its connection is closed has no answer.
    keep_alive_seconds: int = Field(default=75, ge=1)

    job_time_limit_seconds: float = Field(default=300.0, gt=0)
    job_memory_limit_bytes: int = Field(default=2 * 1024**3, gt=0)
    job_max_attempts: int = Field(default=5, ge=1)
    job_retry_base_seconds: float = Field(default=2.0, gt=0)
    job_retry_max_seconds: float = Field(default=300.0, gt=0)
    #: Must outlast the longest stretch in which one parse holds the interpreter lock: a child
    #: without a sign of life for so long is ended.
    lease_seconds: float = Field(default=30.0, gt=0)
    heartbeat_seconds: float = Field(default=2.0, gt=0)
    worker_concurrency: int = Field(default=2, ge=1)
    #: Children of each worker beside those: for interactive jobs of projects of which nothing runs.
    worker_reserve: int = Field(default=1, ge=0)
    #: Jobs of a batch that a sweep takes at once; 1: each job of a batch is a task of its own.
    sweep_chunk: int = Field(default=50, ge=1, le=500)
    #: The part of all workers' children, without the reserve, that one project's jobs may take.
    project_share: float = Field(default=1.0, gt=0, le=1)
    #: A worker that is asked to stop lets its reads go on for this long, then hands them back.
    worker_grace_seconds: float = Field(default=10.0, ge=0)

    clock_interval_seconds: float = Field(default=0.5, gt=0)
    clock_rings_per_tick: int = Field(default=200, ge=1)
    #: No ringing for a queue in which this many messages wait: the workers are behind, not idle.
    clock_max_queue_length: int = Field(default=5000, ge=1)
    #: A queued job is rung again after this long, then after twice that, then after four times.
    ring_again_seconds: float = Field(default=5.0, gt=0)

    #: How long ended jobs (with their attempts and batches) and audit entries stay; 0: for ever.
    retain_jobs_days: int = Field(default=30, ge=0)
    retain_audit_days: int = Field(default=365, ge=0)
    #: How old bytes in managed storage must be to be removed where no row knows of them; 0: never.
    retain_orphans_days: int = Field(default=7, ge=0)
    #: How long managed Delta tables keep what loads replaced: so long it can be read and restored.
    retain_replaced_days: int = Field(default=7, ge=1)
    #: The most commits that upkeep leaves in the log of one in a folder; 0: those of these days.
    retain_commits: int = Field(default=1000, ge=0)
    #: The clock has a managed Delta table maintained after so many loads; 0: only by hand.
    maintain_after_loads: int = Field(default=100, ge=0)
    #: And after so long, where it was loaded or has replaced files; 0: only by hand.
    maintain_after_seconds: float = Field(default=86_400.0, ge=0)

    #: How often the clock sends a canary through the queue, and after how long it is overdue.
    canary_interval_seconds: float = Field(default=10.0, gt=0)
    canary_late_seconds: float = Field(default=30.0, gt=0)

    #: `stocktake.limits.Limits` says what each of these bounds.
    inference_max_files: int = Field(default=Limits.max_files, ge=1)
    inference_max_bytes: int = Field(default=Limits.max_bytes, ge=1)
    inference_max_seconds: float = Field(default=Limits.max_seconds, gt=0)
    inference_max_listed: int = Field(default=Limits.max_listed, ge=1)
    inference_max_columns: int = Field(default=Limits.max_columns, ge=1)
    inference_max_fields: int = Field(default=Limits.max_fields, ge=1)
    #: The readers recurse: far deeper would overflow their stack.
    inference_max_nesting: int = Field(default=Limits.max_nesting, ge=1, le=200)
    inference_max_name_length: int = Field(default=Limits.max_name_length, ge=1)
    inference_max_schema_bytes: int = Field(default=Limits.max_schema_bytes, ge=1024)
    inference_max_line_bytes: int = Field(default=Limits.max_line_bytes, ge=1024)
    inference_max_footer_bytes: int = Field(default=Limits.max_footer_bytes, ge=1024)
    inference_max_metadata_bytes: int = Field(default=Limits.max_metadata_bytes, ge=1024)
    inference_max_log_bytes: int = Field(default=Limits.max_log_bytes, ge=1024)
    inference_max_decompression_ratio: int = Field(default=Limits.max_decompression_ratio, ge=1)
    validate_max_bytes: int = Field(default=5 * 1024**3, ge=0)

    #: Required as a bearer token by ``/metrics``, which serves this machine alone where it is not
    #: set.
    metrics_token: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the files that it names."""
        return init_settings, env_settings, _Files(settings_cls)

    @field_validator(
        "secret_keys",
        "allowed_url_schemes",
        "trusted_endpoints",
        "local_roots",
        "trusted_proxies",
        "allowed_hosts",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return listed(value) if isinstance(value, str) else value

    @field_validator("trusted_endpoints")
    @classmethod
    def _of_a_known_shape(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for number, entry in enumerate(entries, 1):
            if not TRUSTED_ENTRY.fullmatch(entry):
                raise ValueError(unreadable_entry(number, entry))
        return entries

    @field_validator("database_url")
    @classmethod
    def _of_a_known_kind(cls, url: str) -> str:
        if not url.startswith(_DATABASES):
            raise ValueError("it must begin with sqlite:/// or postgresql+psycopg://")
        return url

    @field_validator("broker_url")
    @classmethod
    def _of_a_known_broker(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(_BROKERS):
            raise ValueError("it must begin with redis:// or rediss://")
        return url

    @field_validator("log_level")
    @classmethod
    def _a_level(cls, level: str) -> str:
        # Those of the standard library: what is imported may add some, such as TRACE.
        levels = ("CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "WARN", "WARNING")
        if level.upper() not in levels:
            raise ValueError(f"it is no level{_meant(level.upper(), levels)}")
        return level.upper()

    @field_validator("allowed_url_schemes")
    @classmethod
    def _schemes(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        for scheme in schemes:
            if scheme not in _URL_SCHEMES:
                raise ValueError(f'"{scheme[:50]}" is no scheme{_meant(scheme, _URL_SCHEMES)}')
        return schemes

    @property
    def limits(self) -> Limits:
        """What one read of a source may take."""
        return Limits(
            max_files=self.inference_max_files,
            max_bytes=self.inference_max_bytes,
            max_seconds=self.inference_max_seconds,
            max_listed=self.inference_max_listed,
            max_columns=self.inference_max_columns,
            max_fields=self.inference_max_fields,
            max_nesting=self.inference_max_nesting,
            max_name_length=self.inference_max_name_length,
            max_schema_bytes=self.inference_max_schema_bytes,
            max_line_bytes=self.inference_max_line_bytes,
            max_footer_bytes=self.inference_max_footer_bytes,
            max_metadata_bytes=self.inference_max_metadata_bytes,
            max_log_bytes=self.inference_max_log_bytes,
            max_decompression_ratio=self.inference_max_decompression_ratio,
        )

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.database_url.startswith("sqlite")


def read_settings() -> Settings:
    """Return what the environment says, of which nothing is passed over.

    Raises:
        SettingsError: a name that is none, a value that is none, or a file that cannot be read; in
            sentences, one a line.
    """
    if unknown := [name for name in sorted(os.environ) if _is_unknown(name)]:
        raise SettingsError("\n".join(map(_no_setting, unknown)))
    try:
        return Settings()
    except ValidationError as exc:
        raise SettingsError(explain(exc)) from exc


def from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with ``STOCKTAKE_X`` for each ``STOCKTAKE_X_FILE``; blank ones left
    out.

    Raises:
        SettingsError: such a file cannot be read, or the setting is given as well.
    """
    found = {name: value for name, value in environment.items() if value}
    for name in [each for each in found if _is_of_a_file(each)]:
        wanted, path = name.removesuffix(_FILE), found.pop(name)
        if wanted in found:
            raise SettingsError(f"{wanted} and {name} are both set: take one of them out.")
        try:
            found[wanted] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or "it is no text"
            raise SettingsError(f"{name}: the file {path!r} cannot be read: {why}.") from exc
    return found


def _is_of_a_file(name: str) -> bool:
    return name.startswith(PREFIX) and name.endswith(_FILE) and _names(name.removesuffix(_FILE))


def _names(name: str) -> bool:
    return name.removeprefix(PREFIX).lower() in Settings.model_fields


def _is_unknown(name: str) -> bool:
    if not name.startswith(PREFIX) or _names(name) or _is_of_a_file(name):
        return False
    bare = name.removeprefix(PREFIX)
    return bare not in _OF_OTHERS and not bare.startswith(_OF_TESTS)


def _no_setting(name: str) -> str:
    bare = name.removeprefix(PREFIX).removesuffix(_FILE)
    return f"{name} is no setting{_meant(bare, map(str.upper, Settings.model_fields), PREFIX)}"


def _meant(given: str, known: Iterable[str], before: str = "") -> str:
    """Return how to end the sentence that something is not known: with the nearest that is,
    or all."""
    known = sorted(known)
    near = get_close_matches(given, known, n=1)
    if near:
        return f"; did you mean {before}{near[0]}?"
    return f"; expected {', '.join(known)}" if len(known) < 10 else "; .env.example lists them all."


def unreadable_entry(number: int, entry: str, why: str = "") -> str:
    """Return what to tell of an entry of ``TRUSTED_ENDPOINTS``: it is repeated, but for one with an
    ``@``, which may hold a password.

    Args:
        number: its place in the list, from 1.
        why: what else is known of it.
    """
    shown = "" if "@" in entry else f' ("{entry[:200]}")'
    return (
        f"entry {number}{shown} cannot be read{why and f': {why}'}; expected "
        "[s3+|azure+|gcs+]http(s)://host[:port] without a path, such as https://minio.corp:9000"
    )


def explain(refused: ValidationError) -> str:
    """Return what is wrong with which variable, one a line.

    A value is repeated where a number was wanted: any other may be a secret, or hold one.
    """
    return "\n".join(
        _explain_one(str(each["loc"][0]), each["msg"], each["input"]) for each in refused.errors()
    )


def _explain_one(name: str, message: str, value: Any) -> str:
    found = ""
    if Settings.model_fields[name].annotation in (int, float, bool):
        found = f"; found {value!r}"
    told = message.removeprefix("Value error, ") + found
    return f"STOCKTAKE_{name.upper()}: {told}{'' if told.endswith('?') else '.'}"
