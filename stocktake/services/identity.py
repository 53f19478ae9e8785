"""Projects, users and API keys: who may ask, and the little that clients ask about themselves."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, String, Uuid, bindparam, cast, func, select, update
from sqlalchemy.orm import Session

from stocktake.catalog import previews
from stocktake.db.clock import now
from stocktake.db.models import ApiKey, Project, User, new_id
from stocktake.db.pages import Place, part_of
from stocktake.db.session import inserting
from stocktake.errors import NotAuthenticatedError, NotFoundError, ValidationError
from stocktake.schema.decisions import Policy
from stocktake.security import keys, scopes
from stocktake.services import audit, words
from stocktake.services.context import Caller, Context

#: Whom keys belong to that are made on the command line without naming a person.
OPERATOR_EMAIL: Final = "operator@stocktake.invalid"
_LONGEST_KEY_CHARACTERS: Final = 200


def authenticate(session: Session, plaintext: str) -> Caller:
    """Return the caller that a key stands for; its project is not chosen yet (0).

    Raises:
        NotAuthenticatedError: no such key, or it is revoked or has expired.
    """
    sha256 = keys.digest(plaintext[:_LONGEST_KEY_CHARACTERS])
    row = session.scalars(select(ApiKey).where(ApiKey.sha256 == sha256, *_live())).one_or_none()
    if row is None:
        raise invalid_key()
    return _caller(row)


def live_caller(session: Session, key_id: UUID | None) -> Caller | None:
    """Return what `live_callers` does of one key; None where it does not hold."""
    row = session.connection().execute(_LIVE_KEY, {"the_key": key_id}).one_or_none()
    return None if row is None else _caller(row)


def live_callers(session: Session, key_ids: Collection[UUID]) -> dict[UUID, Caller]:
    """Return those of the keys that hold now, as `authenticate` would answer."""
    rows = session.scalars(select(ApiKey).where(ApiKey.id.in_(key_ids), *_live()))
    return {row.id: _caller(row) for row in rows}


def invalid_key() -> NotAuthenticatedError:
    """Return the refusal of a key that is none, or is revoked, or has expired."""
    return NotAuthenticatedError(
        "Personal API key found in request Authorization header is invalid.",
        code="authentication_failed",
    )


def _live() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    unexpired = ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now())
    return ApiKey.revoked_at.is_(None), unexpired


#: Built once, as it is the first statement of most requests.
_LIVE_KEY: Final = select(
    *(ApiKey.__table__.c[name] for name in ("id", "user_id", "prefix", "scopes", "project_ids"))
).where(ApiKey.id == bindparam("the_key", type_=Uuid()), *_live())


def _caller(row: ApiKey | Row[*tuple[Any, ...]]) -> Caller:
    return Caller(
        project_id=0,
        user_id=row.user_id,
        key_id=row.id,
        key_prefix=row.prefix,
        scopes=frozenset(row.scopes),
        project_ids=tuple(row.project_ids),
    )


def note_use(session: Session, used: dict[UUID, datetime]) -> None:
    """Write when keys were used last."""
    for key_id, moment in used.items():
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=moment))


def list_projects(context: Context) -> Sequence[Project]:
    """Return the projects that the caller's key is bound to, by id."""
    return context.session.scalars(
        select(Project).where(Project.id.in_(context.caller.project_ids)).order_by(Project.id)
    ).all()


def project_page(
    context: Context, *, limit: int, offset: int, after: Place | None = None
) -> tuple[int, Sequence[Project]]:
    """Return how many projects the caller's key is bound to, and a page of them, by id."""
    mine = select(Project).where(Project.id.in_(context.caller.project_ids))
    count = context.session.scalar(select(func.count()).select_from(mine.subquery()))
    page = part_of(mine, Project.id, limit=limit, offset=offset, after=after, ascending=True)
    return count or 0, context.session.scalars(page).all()


def get_project(context: Context) -> Project:
    """Return the project of this request.

    Raises:
        NotFoundError: it is gone.
    """
    project = context.session.get(Project, context.caller.project_id)
    if project is None:
        raise NotFoundError
    return project


def change_project(
    context: Context, *, policy: Policy | None = None, row_previews: bool | None = None
) -> Project:
    """Set what holds for all tables of the project; None leaves it.

    Args:
        policy: of the tables that have none of their own. What waits already goes on waiting.
        row_previews: whether rows may be looked at. Those that were read are shown no more at once.

    Raises:
        NotFoundError: the project is gone.
    """
    project = get_project(context)
    if policy is not None and policy != project.change_policy:
        old, project.change_policy = project.change_policy, policy
        audit.record(context, "project.policy", str(project.id), old=old, new=policy.value)
    if row_previews is not None and row_previews != project.row_previews:
        project.row_previews = row_previews
        if not row_previews:
            previews.erase(context.session, project.id)
        audit.record(context, "project.row_previews", str(project.id), new=row_previews)
    context.session.flush()
    return project


def set_stale_after(context: Context, seconds: Any) -> Project:
    """Set after which time the project's tables are stale that say nothing of their own; None:
    never.

    Raises:
        NotFoundError: the project is gone.
        ValidationError: it is no such number.
    """
    project, new = get_project(context), words.check_stale_after(seconds)
    if new != project.stale_after_seconds:
        old, project.stale_after_seconds = project.stale_after_seconds, new
        audit.record(context, "project.stale_after", str(project.id), old=old, new=new)
        context.session.flush()
    return project


def current_user(context: Context) -> User:
    """Return whom the caller's key belongs to.

    Raises:
        NotFoundError: nobody any more.
    """
    user = context.session.get(User, context.caller.user_id)
    if user is None:
        raise NotFoundError
    return user


def current_key(context: Context) -> ApiKey:
    """Return the key of this request.

    Raises:
        NotFoundError: the request came without one.
    """
    key = context.session.get(ApiKey, context.caller.key_id)
    if key is None:
        raise NotFoundError
    return key


def keys_of_project(
    context: Context, *, limit: int, offset: int = 0, after: Place | None = None
) -> tuple[int, Sequence[ApiKey]]:
    """Return how many keys were made for the project of this request, and a page of them, newest
    first; those that were revoked or have expired, too."""
    mine = select(ApiKey).where(_opens(context.session, context.caller.project_id))
    count = context.session.scalar(select(func.count()).select_from(mine.subquery()))
    newest = part_of(mine, ApiKey.id, limit=limit, offset=offset, after=after)
    return count or 0, context.session.scalars(newest).all()


def _opens(session: Session, project_id: int) -> ColumnElement[bool]:
    """Return whether a key is bound to this project."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    elements = func.json_each if is_sqlite else func.json_array_elements_text
    each = elements(ApiKey.project_ids).table_valued("value")
    return (
        select(each.c.value)
        .select_from(each)
        .where(cast(each.c.value, String) == str(project_id))
        .exists()
    )


# --- for the command line -----------------------------------------------------------------


def create_project(session: Session, name: str) -> Project:
    """Add a project.

    Raises:
        ValidationError: the name is blank.
    """
    if not name.strip():
        raise ValidationError("A project needs a name.", attr="name", code="blank")
    project = Project(name=name.strip())
    session.add(project)
    session.flush()
    return project


def all_projects(session: Session) -> Sequence[Project]:
    """Return all projects, by id."""
    return session.scalars(select(Project).order_by(Project.id)).all()


def live_keys(session: Session) -> Sequence[ApiKey]:
    """Return all keys that hold now, oldest first."""
    return session.scalars(select(ApiKey).where(*_live()).order_by(ApiKey.created_at)).all()


def create_key(
    session: Session,
    project_ids: Collection[int],
    key_scopes: Collection[str],
    label: str = "",
    expires: datetime | None = None,
    email: str = OPERATOR_EMAIL,
) -> str:
    """Draw a key for these projects and return it: the only time that it is known.

    Args:
        key_scopes: of `stocktake.security.scopes.KNOWN`.
        expires: an aware time, or None for a key that stays.
        email: whom it belongs to; a user is made for an address that is new.

    Raises:
        ValidationError: an unknown scope, no scope, no project, or one that does not exist.
    """
    _check_scopes(key_scopes)
    _check_projects(session, project_ids)
    made = keys.make_key()
    key = ApiKey(
        label=label,
        prefix=made.prefix,
        sha256=made.sha256,
        scopes=sorted(key_scopes),
        project_ids=sorted(project_ids),
        user_id=_user_for(session, email).id,
        expires_at=None if expires is None else expires.astimezone(UTC),
    )
    session.add(key)
    session.flush()
    _record(session, "key.create", key, scopes=key.scopes)
    return made.plaintext


def revoke_key(session: Session, prefix: str) -> int:
    """Revoke the live keys whose visible prefix this is; how many they were."""
    gone = (
        session.execute(
            update(ApiKey)
            .where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now())
            .returning(ApiKey)
        )
        .scalars()
        .all()
    )
    for key in gone:
        _record(session, "key.revoke", key)
    return len(gone)


def _record(session: Session, action: str, key: ApiKey, **detail: Any) -> None:
    """Record it in the audit log of each project that the key opens."""
    for project_id in key.project_ids:
        operator = Caller(project_id=project_id, user_id=None)
        audit.record_for(session, operator, action, key.id, prefix=key.prefix, **detail)


def _check_scopes(key_scopes: Collection[str]) -> None:
    unknown = sorted(set(key_scopes) - scopes.KNOWN)
    if unknown or not key_scopes:
        raise ValidationError(
            f"Unknown scopes {unknown}: expected one or more of {sorted(scopes.KNOWN)}.",
            attr="scopes",
        )


def _check_projects(session: Session, project_ids: Collection[int]) -> None:
    known = set(session.scalars(select(Project.id).where(Project.id.in_(project_ids))))
    missing = sorted(set(project_ids) - known)
    if missing or not project_ids:
        raise ValidationError(
            f"A key needs projects that exist; these do not: {missing}.", attr="project_ids"
        )


def _user_for(session: Session, email: str) -> User:
    """Return the user of this address, made where there is none, also by another process
    meanwhile."""
    user = inserting(session, User).values(
        uuid=new_id(), email=email, first_name=email.partition("@")[0].capitalize(), last_name=""
    )
    session.execute(user.on_conflict_do_nothing())
    return session.scalars(select(User).where(User.email == email)).one()
