"""What a refusal says to write instead of a URL."""

import pytest

from stocktake.errors import UrlRefusedError, ValidationError
from stocktake.storage.places import spellings
from stocktake.storage.places.guard import GuardPolicy, check, recheck

HTTPS = GuardPolicy()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("s3://shop/orders/*.parquet", "https://BUCKET.s3.REGION.amazonaws.com/PATH"),
        ("S3A://shop/orders", "https://BUCKET.s3.REGION.amazonaws.com/PATH"),
        ("gs://shop/orders", "https://storage.googleapis.com/BUCKET/PATH"),
        ("abfss://c@a.dfs.core.windows.net/x", "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
        ("wasbs://c@a.blob.core.windows.net/x", "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
        ("r2://shop/orders", "https://ACCOUNT.r2.cloudflarestorage.com/BUCKET/PATH"),
        ("http://shop.s3.amazonaws.com/x", "https://…, or have the operator"),
        ("hdfs://node/x", "STOCKTAKE_TRUSTED_ENDPOINTS"),
        ("file:///data/orders", "--local-root"),
        ("/data/orders", "file:///PATH"),
        ("shop.s3.amazonaws.com/orders", "Write https:// before it."),
        ("orders.csv", "a whole URL"),
        ("", "a whole URL"),
        ("https://files.example.com/b/x.csv", "STOCKTAKE_TRUSTED_ENDPOINTS"),
        ("https://localhost:9000/b/x.csv", "STOCKTAKE_TRUSTED_ENDPOINTS"),
        ("https://127.0.0.1:9000/b/x.csv", "STOCKTAKE_TRUSTED_ENDPOINTS"),
        ("https://eu-west-1.console.aws.amazon.com/s3/buckets/shop", spellings.S3),
        ("https://console.cloud.google.com/storage/browser/shop", "storage.googleapis.com"),
    ],
)
def test_a_url_that_is_refused_has_a_hint(url: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(url, HTTPS)
    assert hint in caught.value.hint
    with pytest.raises(UrlRefusedError) as later:
        recheck(url, HTTPS)
    assert later.value.hint == caught.value.hint


def test_a_sentence_that_says_what_to_do_has_none() -> None:
    with pytest.raises(ValidationError) as caught:
        check("https://s3.amazonaws.com/b*/x", HTTPS)
    assert caught.value.hint == ""
