"""The playground served on the loopback, in a thread of the tests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from offload.views.play.server import listen, make


@contextmanager
def served() -> Iterator[str]:
    """Yield the address of a playground; any port that is free."""
    with listen(0) as listening:
        config = uvicorn.Config(
            make(lambda: server.should_exit), log_level="warning", ws="none", lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
