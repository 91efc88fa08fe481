"""Connections that give up on clients who never finish what they began to say."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes of a request's head; the usual ones have hundreds.
LARGEST_HEAD = 65_536
# Seconds that the service itself gets to answer a slow request before its connection is cut.
GRACE_S = 2.0


def patient_for(seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, for clients that send a whole request within some seconds and a head of ordinary size.

    uvicorn would wait for the rest of a head for ever and keep whatever comes: some hundred such connections, opened by
    anybody, would keep all others out.
    """

    class PatientProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head_bytes: int | None = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect(seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_expecting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._head_bytes is not None:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._head_bytes is not None and self._head_bytes > LARGEST_HEAD:
                self.transport.abort()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._expect(seconds + GRACE_S)

        def on_headers_complete(self) -> None:
            self._head_bytes = None
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._stop_expecting()
            self._head_bytes = 0
            super().on_message_complete()

        def _expect(self, patience: float) -> None:
            self._stop_expecting()
            self._timer = self.loop.call_later(patience, self.transport.abort)

        def _stop_expecting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return PatientProtocol
