"""Forms that browsers post, read within bounds."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

#: The longest subject of a vote, every character of it as %XX of four bytes, and the rest.
_MAX_BYTES: Final = 16 << 10
_MAX_FIELDS: Final = 20
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(request: Request, deadline_s: float) -> dict[str, str]:
    """The fields of a posted form; of several with one name, the last.

    Raises:
        HTTPException: 408, 413, 415 or 400.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _MEDIA_TYPE:
        raise HTTPException(415, "Forms are posted as browsers do.")
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise HTTPException(413, "The form is too long.", {"connection": "close"})
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408, "The form did not arrive.", {"connection": "close"}) from None
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None
    return {name: value.replace("\0", "") for name, value in fields}
