"""No password, token or signature is shown."""

import pytest

from segtasks.errors import SourceError, redact_text, redact_url

SHOWN = {
    "ortho.tif": "ortho.tif",
    "/data/what?.tif": "/data/what?.tif",
    "s3://bucket/in [1] ö/a b+c#%20&?.tif": "s3://bucket/in [1] ö/a b+c#%20&?.tif",
    "https://me:pw@host:8080/a.tif": "https://host:8080/a.tif",
    "https://host/a.tif?X-Amz-Credential=AK&X-Amz-Signature=ab": "https://host/a.tif",
    "https://acc.blob.core.windows.net/c/a.tif?sv=2022&sig=ab%3D": (
        "https://acc.blob.core.windows.net/c/a.tif"
    ),
    "s3://AKIA:secret@bucket/a.tif": "s3://bucket/a.tif",
    "/vsicurl/https://me:pw@host/a.tif": "/vsicurl/https://host/a.tif",
    "/vsicurl?header.Authorization=Bearer%20ab&url=https%3A%2F%2Fhost%2Fa.tif": "/vsicurl",
    "PG:host=db user=me password='my pw' table=a": "PG:host=db user=me password=*** table=a",
    "WMS:layer=a,access_token=ab": "WMS:layer=a,access_token=***",
    'netcdf:"a.nc":band': 'netcdf:"a.nc":band',
}


@pytest.mark.parametrize("url", SHOWN)
def test_what_is_shown_of_a_url(url: str) -> None:
    assert redact_url(url) == SHOWN[url]


SAID = {
    "https://host/a.tif?sig=ab%3D: cannot be read; mend it": (
        "https://host/a.tif: cannot be read; mend it"
    ),
    "'/vsicurl/https://me:pw@host/a.tif?sig=ab' does not exist": (
        "'/vsicurl/https://host/a.tif' does not exist"
    ),
    "is https://host/a?sig=ab. Is https://host/b#c=d": "is https://host/a. Is https://host/b",
    "s3://bucket/what?.tif: is it there? Look": "s3://bucket/what?.tif: is it there? Look",
    "source: https://host/ is empty? (got 'PG:password=ab')": (
        "source: https://host/ is empty? (got 'PG:password=***"
    ),
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_of_urls(text: str) -> None:
    assert redact_text(text) == SAID[text]
    assert str(SourceError(text)) == SAID[text]
