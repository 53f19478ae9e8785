"""The one Celery app. It holds no address: the process that uses it calls `configure`."""

from celery import Celery
from kombu import Queue as KombuQueue

from stocktake.settings import Settings
from stocktake.states import CANARY, SWEEP, JobKind, Queue

#: Celery's own limit stands behind the watchdog and the guard.
HARD_LIMIT_GRACE_SECONDS = 3

app = Celery(
    "stocktake",
    # Named one by one: autodiscover_tasks(["tasks"]) would register nothing, silently.
    include=[f"tasks.{name}" for name in (*JobKind, SWEEP, CANARY)],
)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    # The row has the result (ADR 1).
    task_ignore_result=True,
    # At the job's end, so that the message of a worker that dies is given out again.
    # `task_reject_on_worker_lost` stays off: a job that runs out of memory would be queued for
    # ever, and attempts are counted in the database.
    task_acks_late=True,
    task_queues=[KombuQueue(queue.value, routing_key=queue.value) for queue in Queue],
    task_default_queue=Queue.INTERACTIVE.value,
    task_create_missing_queues=False,
    worker_send_task_events=True,
    # A message for each child and none in advance, which would wait behind a long read.
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    # A parent that waits for a silent broker hears late that a new child is up, and would kill it.
    worker_proc_alive_timeout=60.0,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    # For `stocktake doctor` and the page of health, which ask each worker what it is.
    worker_enable_remote_control=True,
    # A blip of the broker must not end a read: its lease makes the redelivery harmless.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    # Without an end: a worker that gave up would be missing when the broker is back.
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    broker_pool_limit=4,
    enable_utc=True,
    timezone="UTC",
)


def configure(settings: Settings) -> Celery:
    """Give the app its broker and its limits; call it once, at a process's start."""
    hard_limit = settings.job_time_limit_seconds + HARD_LIMIT_GRACE_SECONDS
    app.conf.update(
        broker_url=settings.broker_url.get_secret_value(),
        task_time_limit=hard_limit,
        broker_transport_options={
            # Above the hard limit, so that no message is given out again under a live read.
            "visibility_timeout": int(hard_limit * 2 + 60),
            # In the order of `Queue`, each before the next is looked at; by default kombu takes
            # them in turns.
            "queue_order_strategy": "priority",
            # On a connection that died without a word, BRPOP would wait for ever.
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 5,
            # A sweep is three round trips of the thread that consumes. One each second left it no
            # time to consume over a link with 2 s of latency; the clock rings sooner anyway.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
        },
    )
    return app
