"""A Valkey that a test may kill: the embedded broker's program and configuration."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers.process import HOST, Server
from workers.stack.valkey import broker_command


class Valkey(Server):
    """A Valkey with an append-only file: what it acknowledged is there after ``restart``."""

    name = "valkey"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = self.take_ports(1)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def client(self, timeout_seconds: float = 5) -> redis.Redis:
        """Return a new client, which tries once; the caller closes it."""
        return redis.Redis(
            host=HOST,
            port=self.port,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )

    def command(self) -> list[str]:
        return [*broker_command(self.url, self.folder)]

    def answers(self) -> bool:
        with self.client(timeout_seconds=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
