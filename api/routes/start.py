"""Where the bare address leads while there is no console."""

from fastapi.responses import RedirectResponse

from api.edge.routing import Router

router = Router()


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Lead to the description: who opens the bare address in a browser looks for something
    to read."""
    return RedirectResponse("/docs", 307)
