"""The web process: `create_app` puts its parts together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any, Final

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from prometheus_client import generate_latest
from starlette.middleware import Middleware

from api import errors, metrics, openapi
from api.console import app as console
from api.edge.afterwards import Afterwards
from api.edge.edge import Parts
from api.edge.feed import Feed
from api.edge.hot_routes import HotRoutes, hot_routes
from api.edge.known_keys import KnownKeys
from api.edge.rate_limits import RateLimits
from api.edge.shared_work import Shared
from api.edge.threads import SLOW_AT_ONCE, ProjectThreads
from api.edge.waiting import Hub
from api.wire.middleware import (
    HeadMiddleware,
    RequestMiddleware,
    SlashMiddleware,
    TooLargeMiddleware,
)
from api.wire.strict_json import MAX_JSON_BYTES, PARSED_AT_ONCE
from stocktake import __version__
from stocktake.db.session import ANSWER_SECONDS, PATIENCE_SECONDS, Database
from stocktake.jobs import counters
from stocktake.jobs.doorbell import Doorbell
from stocktake.logging import configure_logging
from stocktake.monitoring import readiness
from stocktake.monitoring.workers import Workers
from stocktake.parts import ProcessParts
from stocktake.settings import Settings, read_settings

#: Under each project, in the order in which paths are matched.
PROJECT_ROUTERS: Final = (
    "jobs",
    "events",
    "files",
    "batches",
    "schedules",
    "changes",
    "audit",
    "keys",
    "table_lists",
    "tables",
)
#: What clients ask for most by far.
HOT: Final = ("refresh_schema", "get_job", "get_table")
PREFIXES: Final = ("/api/projects/{project_id}", "/api/environments/{project_id}")
#: How long a request that only reads waits for a thread. They are free within a moment, but where
#: the database stands still each is kept for as long as an answer may take.
_READING_PATIENCE_SECONDS: Final = 15.0
#: For so long nobody asks the workers again, however many look.
_WORKERS_FRESH_SECONDS: Final = 5.0


def create_app(settings: Settings | None = None, doorbell: Doorbell | None = None) -> FastAPI:
    """Build the app.

    Args:
        settings: read from the environment where None, and logging is set up by them then.
        doorbell: Celery's where None.
    """
    if settings is None:
        settings = read_settings()
        configure_logging(settings)
    observed = metrics.Metrics()
    app = FastAPI(
        title="Stocktake",
        version=__version__,
        description=openapi.ABOUT,
        servers=[{"url": "/", "description": "Where this description is from."}],
        lifespan=_lifespan(settings, doorbell, observed),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # `SlashMiddleware` serves both, without a second request.
        redirect_slashes=False,
        strict_content_type=False,
        generate_unique_id_function=_operation_id,
        # As a request meets them. The path is put right before a route is looked for; HEAD is
        # logged as HEAD; and what answers a body that is too large gets an id and headers as all
        # do.
        middleware=[
            Middleware(SlashMiddleware),
            Middleware(RequestMiddleware, observe=observed.observe),
            Middleware(HotRoutes, routes=_hot_routes()),
            Middleware(HeadMiddleware),
            Middleware(TooLargeMiddleware),
        ],
    )
    errors.register(app)
    _mount(app)
    if settings.console:
        console.install(app)
    else:
        app.include_router(_router("start"))
    # FastAPI's own way to replace the description is to replace this method.
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]
    return app


def _lifespan(
    settings: Settings, doorbell: Doorbell | None, observed: metrics.Metrics
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = build_parts(settings, doorbell or _celery_doorbell(settings), observed)
        app.state.parts = parts
        observed.watch(parts.process.database, parts.doorbell)
        observed.watch_streams(lambda: parts.feed.listening)
        running = (parts.hub, parts.feed, parts.afterwards)
        tasks = [asyncio.create_task(each.run()) for each in running]
        yield
        # The database goes last: the doorbell counts in it what it drops.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.afterwards.flush()
        await asyncio.to_thread(parts.doorbell.close)
        parts.process.database.dispose()

    return lifespan


def build_parts(settings: Settings, doorbell: Doorbell, observed: metrics.Metrics) -> Parts:
    """Return what the process's requests share."""
    database = Database(settings.database_url, doorbell.ring, answer_seconds=ANSWER_SECONDS)
    doorbell.on_drop = counters.drops_of("web", database)
    return Parts(
        process=ProcessParts.of(settings, database),
        doorbell=doorbell,
        hub=Hub(database),
        feed=Feed(database),
        limits=RateLimits(settings),
        keys=KnownKeys(),
        afterwards=Afterwards(database),
        parsing=CapacityLimiter(PARSED_AT_ONCE),
        reading=ProjectThreads(_READING_PATIENCE_SECONDS),
        writing=ProjectThreads(PATIENCE_SECONDS),
        sending=ProjectThreads(share=SLOW_AT_ONCE),
        receiving=ProjectThreads(share=SLOW_AT_ONCE),
        readiness=Shared(
            partial(readiness.look, database, settings, doorbell.queue_lengths),
            settings.health_fresh_seconds,
        ),
        workers=Shared(partial(Workers.of, doorbell.workers), _WORKERS_FRESH_SECONDS),
        metrics=Shared(partial(generate_latest, observed.registry), settings.health_fresh_seconds),
    )


def _celery_doorbell(settings: Settings) -> Doorbell:
    # Here, so that Celery is not imported where a test brings its own doorbell.
    from tasks.doorbell import CeleryDoorbell

    return CeleryDoorbell(settings)


def _mount(app: FastAPI) -> None:
    for name in ("health", "identity"):
        app.include_router(_router(name), max_body_size=MAX_JSON_BYTES)
    for prefix in PREFIXES:
        for name in PROJECT_ROUTERS:
            app.include_router(
                _router(name),
                prefix=prefix,
                # The older prefix is told of in words: each operation is described once.
                include_in_schema=prefix == PREFIXES[0],
                max_body_size=MAX_JSON_BYTES,  # a route of uploads has a limit of its own
            )


def _hot_routes() -> list[Any]:
    modules = [import_module(f"api.routes.{name}") for name in ("jobs", "tables")]
    endpoints = [getattr(each, name) for each in modules for name in HOT if hasattr(each, name)]
    return [hot for each in modules for hot in hot_routes(each.router.routes, endpoints)]


def _router(name: str) -> APIRouter:
    router: APIRouter = import_module(f"api.routes.{name}").router
    return router


def _operation_id(route: APIRoute) -> str:
    """Return the function's name: generated clients call their methods by it, so it stays."""
    return route.name
