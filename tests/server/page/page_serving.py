"""Serving of indexes in a thread, over a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lsr.query.searcher import Searcher


@contextmanager
def serving(*indexes: tuple[str, Searcher], **settings: Any) -> Iterator[str]:
    """Serve indexes in a thread, and yield the address."""
    pytest.importorskip("fastapi", reason="the search page needs the extra `serve`")
    import uvicorn

    from lsr.server.app import make_app
    from lsr.server.run import listen
    from lsr.server.served_index import ServedIndex, ServedIndexes
    from lsr.server.settings import ServerSettings

    chosen = ServerSettings(port=0, **settings)
    app = make_app(ServedIndexes([ServedIndex(name, one) for name, one in indexes]), chosen)
    listening = listen(chosen)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
