"""What PostHog's tools ask before anything else (who am I, what may I, which projects), and what
is set for a whole project."""

from fastapi import Response

from api.edge.answers import Answer
from api.edge.authentication import AccountEdge, ReadEdge, WriteEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.schemas.base import PageBody
from api.schemas.identity import (
    KeyBody,
    ProjectBody,
    ProjectChange,
    UserBody,
    key_view,
    project_view,
    user_view,
)
from stocktake.db.pages import place_of
from stocktake.services import identity
from stocktake.services.context import Context

router = Router(tags=["identity"])


@router.get("/api/projects/", response_model=PageBody[ProjectBody])
async def list_projects(edge: AccountEdge, page: PageDep) -> Response:
    """List the projects that the key belongs to."""

    def work(context: Context) -> bytes:
        count, found = identity.project_page(context, **page.part)
        return page.body(count, found, project_view, lambda project: place_of(project.id))

    return await edge.show(work)


@router.get("/api/projects/{project_id}/")
async def get_project(edge: ReadEdge) -> ProjectBody:
    """Show one project."""
    return await edge.read(lambda context: project_view(identity.get_project(context)))


@router.patch("/api/projects/{project_id}/")
async def change_project(edge: WriteEdge, body: ProjectChange) -> Response:
    """Set what holds for all tables that say nothing of their own: their policy of changes,
    after which time they are stale, and whether rows may be looked at."""

    def work(context: Context) -> Answer:
        project = identity.change_project(
            context, policy=body.change_policy, row_previews=body.row_previews
        )
        if "stale_after_seconds" in body.model_fields_set:
            project = identity.set_stale_after(context, body.stale_after_seconds)
        return Answer(body=project_view(project))

    return await edge.write(work)


@router.patch("/api/environments/{project_id}/", include_in_schema=False)
async def change_environment(edge: WriteEdge, body: ProjectChange) -> Response:
    """Change the same project under its older name."""
    return await change_project(edge, body)


@router.get("/api/environments/{project_id}/", include_in_schema=False)
async def get_environment(edge: ReadEdge) -> ProjectBody:
    """Show the same project under its older name."""
    return await edge.read(lambda context: project_view(identity.get_project(context)))


@router.get("/api/users/@me/")
async def get_current_user(edge: AccountEdge) -> UserBody:
    """Show whom the key belongs to."""

    def work(context: Context) -> UserBody:
        return user_view(identity.current_user(context), identity.list_projects(context))

    return await edge.read(work)


@router.get("/api/personal_api_keys/@current/")
async def get_current_key(edge: AccountEdge) -> KeyBody:
    """Show the key of this request: its scopes and projects, never its value."""
    return await edge.read(lambda context: key_view(identity.current_key(context)))
