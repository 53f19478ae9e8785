"""What a store does not do as the others: its own fault, which the matrix names."""

from typing import Final

_NO_KEYS: Final = "fake-gcs-server lets everybody in, with whatever keys"

#: By store and scenario. One that is mended makes its test fail, so that it is taken out here.
EXCEPTIONS: Final[dict[tuple[str, str], str]] = {
    ("moto", "wrong bucket"): "moto answers the listing of a bucket that is not there with "
    "SignatureDoesNotMatch",
    ("moto", "public"): "moto, once it checks keys, answers a request without any with 500",
    ("s3rver", "wrong secret"): "s3rver does not compute signatures of version 4, so that every "
    "secret is right",
    ("s3rver", "1,500 objects"): "s3rver answers the listing of 1,500 objects with 500",
    ("Azurite", "23 odd keys"): "Azurite refuses the signature with which a key with ! ' ( ) is "
    "written",
    ("fake-gcs-server", "wrong key"): _NO_KEYS,
    ("fake-gcs-server", "wrong secret"): _NO_KEYS,
    ("fake-gcs-server", "wrong bucket"): "fake-gcs-server answers 500 for a bucket that is not "
    "there",
}
