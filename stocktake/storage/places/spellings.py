"""What to write in the place of a URL that is refused: `s3://`, a path, a console's page."""

import re
from typing import Final

from stocktake.storage.places.providers import match_host

S3: Final = (
    "Write it as https://BUCKET.s3.REGION.amazonaws.com/PATH, or as the https URL of your "
    "S3-compatible store."
)
_GCS: Final = "Write it as https://storage.googleapis.com/BUCKET/PATH."
_AZURE: Final = "Write it as https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH."
_R2: Final = "Write it as https://ACCOUNT.r2.cloudflarestorage.com/BUCKET/PATH."
LOCAL: Final = (
    "Local files need a server that allows them: `stocktake up --local-root FOLDER`, or "
    "STOCKTAKE_LOCAL_ROOTS."
)
_PLAIN: Final = (
    "Write it as https://…, or have the operator name the store in STOCKTAKE_TRUSTED_ENDPOINTS."
)
STRANGER: Final = (
    "Write the URL that S3, Google Cloud Storage, Azure or R2 has for the files. A store of your "
    "own must be named by the operator in STOCKTAKE_TRUSTED_ENDPOINTS."
)
#: By the scheme, what other tools write.
_SCHEMES: Final = {
    **dict.fromkeys(("s3", "s3a", "s3n"), S3),
    **dict.fromkeys(("gs", "gcs"), _GCS),
    **dict.fromkeys(("az", "azure", "abfs", "abfss", "wasb", "wasbs", "adl"), _AZURE),
    "r2": _R2,
    "http": _PLAIN,
    "file": LOCAL,
}
#: Where people look at their files, by the end of the host's name.
_PAGES: Final = (
    ("console.aws.amazon.com", S3),
    ("console.cloud.google.com", _GCS),
    ("storage.cloud.google.com", _GCS),
    ("portal.azure.com", _AZURE),
    ("dash.cloudflare.com", _R2),
)
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)")


def instead_of(url: str) -> str:
    """Return what to write in the place of a URL whose scheme or host is refused; nothing of the
    URL is repeated.

    >>> instead_of("gs://shop/orders"), instead_of("shop.s3.amazonaws.com/orders")
    ('Write it as https://storage.googleapis.com/BUCKET/PATH.', 'Write https:// before it.')
    >>> instead_of("/data/orders").partition(",")[0]
    'Write it as file:///PATH'
    """
    match = _URL.match(url)
    if match is None:
        return _whole(url)
    scheme, host = match[1].lower(), match[2].lower()
    if scheme != "https":
        return _SCHEMES.get(scheme, STRANGER)
    return next((told for end, told in _PAGES if host.endswith(end)), STRANGER)


def _whole(text: str) -> str:
    if text.startswith("/"):
        return f"Write it as file:///PATH, three slashes and all. {LOCAL}"
    if match_host(text.partition("/")[0].lower()):
        return "Write https:// before it."
    return "Write a whole URL: https://… of the files, or file:///… of local ones."
