"""Pictures out of requests, within limits: of bytes, of number, of time, and of memory for all requests together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from models.errors import OverloadedError
from models.serving.settings import ServingSettings
from orchestration.service.problems import Problem

MEGABYTE = 1_000_000
# What a form takes beside its files: boundaries and heads of parts.
FORM_OVERHEAD = 4096
LONGEST_NAME = 200

# A name and a file's content.
Picture = tuple[str, bytes]
Stream = AsyncIterator[bytes]


class Bodies:
    """Reads requests' bodies and keeps count of what they hold.

    Parameters
    ----------
    settings : limits

    Attributes
    ----------
    held : bytes of all requests that are under way
    """

    def __init__(self, settings: ServingSettings):
        self.settings = settings
        self.held = 0

    @asynccontextmanager
    async def picture(self, request: Request) -> AsyncIterator[Picture]:
        """Context: the one picture of a request, which is its body or the one file of its form.

        Raises
        ------
        Problem
            It is too large, too slow, of another type, empty, several, or malformed.
        OverloadedError
            Requests together hold as much as they may.
        """
        content_type = _content_type(request)
        if content_type == "multipart/form-data":
            read = partial(_files, request, 1)
        elif content_type.startswith("image/") or content_type == "application/octet-stream":
            read = _whole
        else:
            raise _unsupported(content_type, "multipart/form-data, image/jpeg or another image type")
        async with self._received(request, self.settings.max_megabytes, read) as (picture,):
            self.check_size(picture)
            yield picture

    @asynccontextmanager
    async def pictures(self, request: Request) -> AsyncIterator[list[Picture]]:
        """Context: the pictures of a request, which are the files of its form, each of them of any size.

        Raises
        ------
        Problem, OverloadedError
            As for one picture.
        """
        content_type = _content_type(request)
        if content_type != "multipart/form-data":
            raise _unsupported(content_type, "multipart/form-data")
        read = partial(_files, request, self.settings.max_batch_pictures)
        async with self._received(request, self.settings.max_batch_megabytes, read) as pictures:
            yield pictures

    def check_size(self, picture: Picture) -> None:
        """Refuse a picture's file that is empty or too large.

        Raises
        ------
        Problem
            It is.
        """
        name, data = picture
        if not data:
            raise Problem(HTTPStatus.BAD_REQUEST, "malformed", f"{name}: is empty; send a picture.")
        if len(data) > self.settings.max_megabytes * MEGABYTE:
            raise _too_large(self.settings.max_megabytes)

    @asynccontextmanager
    async def _received(
        self, request: Request, megabytes: float, read: Callable[[Stream], Awaitable[list[Picture]]]
    ) -> AsyncIterator[list[Picture]]:
        """Context: what `read` makes of a body's chunks, which count as held until its end."""
        most = megabytes * MEGABYTE + FORM_OVERHEAD
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise _too_large(megabytes)
        held = 0

        async def chunks() -> Stream:
            nonlocal held
            async for chunk in request.stream():
                held += len(chunk)
                self._hold(len(chunk))
                if held > most:
                    raise _too_large(megabytes)
                yield chunk

        try:
            try:
                async with asyncio.timeout(self.settings.receive_s):
                    pictures = await read(chunks())
            except TimeoutError as error:
                raise Problem(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "slow",
                    f"the request did not arrive within {self.settings.receive_s:g} s; send a smaller picture.",
                    {"Connection": "close"},
                ) from error
            yield pictures
        finally:
            self.held -= held

    def _hold(self, size: int) -> None:
        self.held += size
        if self.held > self.settings.max_waiting_megabytes * MEGABYTE:
            raise OverloadedError("too many large requests are under way; ask again in a while.", retry_after_s=1)


class _MemoryParser(MultiPartParser):
    """Keeps files in memory, where what requests hold is counted, rather than on a disk that they would fill."""

    spool_max_size = 0


async def _whole(stream: Stream) -> list[Picture]:
    """A body that is a picture."""
    return [("picture", b"".join([chunk async for chunk in stream]))]


async def _files(request: Request, most: int, stream: Stream) -> list[Picture]:
    """Names and contents of a form's files."""
    parser = _MemoryParser(request.headers, stream, max_files=most, max_fields=8, max_part_size=FORM_OVERHEAD)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "malformed", f"the form cannot be read ({error.message}); see /docs for an example."
        ) from error
    uploads = [value for _, value in form.multi_items() if not isinstance(value, str)]
    try:
        if not uploads:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "malformed",
                "there is no file in the form; send one, as in curl -F image=@FILE.",
            )
        return [((upload.filename or "picture")[:LONGEST_NAME], await upload.read()) for upload in uploads]
    finally:
        await form.close()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(content_type: str, wanted: str) -> Problem:
    found = f"'{content_type[:LONGEST_NAME]}'" if content_type else "missing"
    detail = f"the Content-Type is {found}; send {wanted}."
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail)


def _too_large(megabytes: float) -> Problem:
    detail = f"there are more than {megabytes:g} MB; scale the picture down, or send fewer at once."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
