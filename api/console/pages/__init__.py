"""The pages, one module each, which has a `router`; its templates are in `../templates/`.

A page reads its query, asks services in one transaction, and hands what they say to a template. A
form posts to a route beside it, which asks the service that the API's route asks, and leads back.
"""

from typing import Final

#: In the order in which paths are matched.
PAGES: Final = (
    "sign_in",
    "home",
    "tables",
    "table",
    "table_actions",
    "table_data",
    "changes",
    "jobs",
    "batches",
    "schedule_forms",
    "schedules",
    "add",
    "health",
    "settings",
)
