"""The least that a key must be allowed, to read what one URL pattern names. Pure.

In the words of the store that the pattern is in: a policy of IAM, a condition of Google's, a role
of Azure's. What a reader asks for is what is granted: a LIST of one folder where there is
something to list, and GETs below what the pattern begins with.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from stocktake.schema.formats import TableFormat
from stocktake.storage.places.globs import is_glob, literal, literal_prefix
from stocktake.storage.places.urls import Location

#: IAM's own wildcards and the beginning of its variables; written as variables they are characters
#: (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
_IAM_SPECIAL: Final = re.compile(r"[*?]|\$(?=\{)")
_ACCESS_POINT: Final = re.compile(r"(?P<name>.+)-(?P<account>[0-9]{12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a reader of a pattern asks for.

    Attributes:
        folder: the prefix of its listing, up to a slash; empty for the whole bucket, None where
            nothing is listed.
        prefix: what each key begins with that it gets; a whole key where `is_exact`.
    """

    folder: str | None
    prefix: str
    is_exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What is to be allowed, as its store wants to be told.

    Attributes:
        title: what the text is, and where it goes.
        text: to be pasted; what stands in capital letters is to be filled in.
    """

    title: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """Return it as a job's result has it."""
        return {"title": self.title, "text": self.text}


def reach_of(pattern: str, table_format: TableFormat | None) -> Reach:
    """Return what a reader of this format asks for, of what a pattern below a store's root names.

    >>> reach_of("orders", TableFormat.DELTA).folder
    'orders/_delta_log/'
    >>> reach_of("logs/2026-*.csv", None)
    Reach(folder='logs/', prefix='logs/2026-', is_exact=False)
    """
    if table_format is not None and table_format.is_folder:
        root = literal(pattern).strip("/")
        inside = f"{root}/{table_format.facts.folder}/".lstrip("/")
        return Reach(folder=inside, prefix=inside)
    if not is_glob(pattern):
        return Reach(folder=None, prefix=literal(pattern), is_exact=True)
    prefix = literal_prefix(pattern)
    # Clients list whole folders, and pass over what does not begin as asked.
    return Reach(folder=prefix[: prefix.rfind("/") + 1], prefix=prefix)


def least_grant(location: Location, table_format: TableFormat | None) -> Grant | None:
    """Return the least that a key must be allowed; None for a local folder.

    >>> from stocktake.storage.places.urls import parse
    >>> least_grant(parse("https://b.s3.amazonaws.com/a.csv"), TableFormat.CSV).title
    'A policy for the IAM user of the key'
    """
    reach = reach_of(location.pattern, table_format)
    match location.provider:
        case "file":
            return None
        case "gcs":
            return _google(location, reach)
        case "azure":
            return _azure(location)
        case "r2":
            return Grant(
                title="A token of R2 (Cloudflare dashboard, R2, Manage API tokens)",
                text=f'Permission "Object Read only", for the bucket "{location.bucket}" alone.',
            )
        case "s3_express":
            return Grant(
                title="A policy for the IAM user of the key",
                text=_policy([_express(location)]),
            )
        case "s3":
            title = "A policy for the IAM user of the key"
        case _:
            title = "A policy in the words of S3, for the user of the key"
    return Grant(title=title, text=_policy(_statements(location, reach)))


def _statements(location: Location, reach: Reach) -> list[dict[str, Any]]:
    bucket, objects = _arns(location)
    key = _iam(reach.prefix) + ("" if reach.is_exact else "*")
    get = {
        "Sid": "GetWhatThePatternNames",
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": objects + key,
    }
    if reach.folder is None:
        return [get]
    listing: dict[str, Any] = {
        "Sid": "ListTheFolder",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket,
    }
    if reach.folder:
        listing["Condition"] = {"StringEquals": {"s3:prefix": _iam_value(reach.folder)}}
    return [listing, get]


def _express(location: Location) -> dict[str, Any]:
    # Its sessions are for a whole bucket.
    region = location.region or "*"
    return {
        "Sid": "ReadTheBucket",
        "Effect": "Allow",
        "Action": "s3express:CreateSession",
        "Resource": f"arn:aws:s3express:{region}:*:bucket/{location.bucket}",
        "Condition": {"StringEquals": {"s3express:SessionMode": "ReadOnly"}},
    }


def _arns(location: Location) -> tuple[str, str]:
    """Return how IAM calls the bucket, and what it puts before its keys."""
    partition = _partition(location)
    point = _ACCESS_POINT.fullmatch(location.bucket)
    if point and "accesspoint" in location.host:
        region = location.signing_region
        arn = f"arn:{partition}:s3:{region}:{point['account']}:accesspoint/{point['name']}"
        return arn, f"{arn}/object/"
    arn = f"arn:{partition}:s3:::{location.bucket}"
    return arn, f"{arn}/"


def _partition(location: Location) -> str:
    """Return which AWS it is: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html."""
    if location.provider != "s3":
        return "aws"  # as those who speak S3 have it
    if location.host.endswith(".amazonaws.com.cn"):
        return "aws-cn"
    if location.host.endswith(".amazonaws.eu"):
        return "aws-eusc"
    return "aws-us-gov" if (location.region or "").startswith("us-gov-") else "aws"


def _iam(text: str) -> str:
    """Return a text that IAM takes for itself, where it looks for wildcards.

    >>> _iam("what?/${x}")
    'what${?}/${$}{x}'
    """
    return _IAM_SPECIAL.sub(lambda found: f"${{{found[0]}}}", text)


def _iam_value(text: str) -> str:
    """Return a text that IAM takes for itself, where it looks for variables alone."""
    return re.sub(r"\$(?=\{)", "${$}", text)


def _policy(statements: list[dict[str, Any]]) -> str:
    policy = {"Version": "2012-10-17", "Statement": statements}
    return json.dumps(policy, indent=2, ensure_ascii=False)


def _google(location: Location, reach: Reach) -> Grant:
    """https://cloud.google.com/iam/docs/conditions-attribute-reference: an object is told by its
    name, a listing by its prefix.
    """
    name = f"projects/_/buckets/{location.bucket}/objects/{reach.prefix}"
    get = f"resource.name == {_cel(name)}"
    if not reach.is_exact:
        get = f"resource.name.startsWith({_cel(name)})"
    allowed = [get]
    if reach.folder is not None:
        asked = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'
        allowed.append(f"{asked}.startsWith({_cel(reach.folder)})")
    condition = {"title": "stocktake", "expression": " || ".join(allowed)}
    command = (
        f"gcloud storage buckets add-iam-policy-binding gs://{location.bucket} \\\n"
        "  --member=serviceAccount:NAME@PROJECT.iam.gserviceaccount.com \\\n"
        "  --role=roles/storage.objectViewer --condition-from-file=condition.json"
    )
    return Grant(
        title="A role for the service account of the HMAC key, under the condition condition.json",
        text=f"{json.dumps(condition, indent=2, ensure_ascii=False)}\n\n{command}",
    )


def _cel(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _azure(location: Location) -> Grant:
    # Its roles go down to a container; SAS tokens as well, where the account has no folders.
    account, container = location.account or "ACCOUNT", location.bucket
    scope = (
        "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Storage"
        f"/storageAccounts/{account}/blobServices/default/containers/{container}"
    )
    role = (
        'az role assignment create --role "Storage Blob Data Reader" --assignee CLIENT_ID \\\n'
        f'  --scope "{scope}"'
    )
    token = (
        f"az storage container generate-sas --account-name {account} --name {container} \\\n"
        "  --permissions rl --https-only --expiry YYYY-MM-DD"
    )
    return Grant(
        title="A role for an Entra client, or a SAS token, of this container alone",
        text=f"{role}\n\n{token}",
    )
