"""Make README's picture of the search page: serve the index of `make demo`, and let Chromium take it.

Run as `make picture`. LSR_CHROMIUM names a Chromium that isn't on the PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
INDEX, PICTURE = ROOT / "build" / "demo" / "index", ROOT / "docs" / "img" / "page.png"
QUERY = "run a command and capture its output"
WIDTH, HEIGHT = 1180, 720
LARGEST = 200_000
"""Bytes of the picture."""


def serve() -> str:
    """Serve the index of the demo in a thread that ends with this process; return the page's address."""
    import uvicorn

    from lsr.query.searcher import Searcher
    from lsr.server.app import make_app
    from lsr.server.run import listen
    from lsr.server.served_index import ServedIndex, ServedIndexes
    from lsr.server.settings import ServerSettings

    settings = ServerSettings(port=0, read_only=True)
    app = make_app(ServedIndexes([ServedIndex("python", Searcher(INDEX))]), settings)
    listening = listen(settings)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def take(address: str, chromium: str) -> None:
    """Write the picture of a search whose first result is explained."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        search = f"{address}/?{urlencode({'q': QUERY})}"
        page.goto(search)
        page.goto(search)  # the first search loads the model; the picture has the time of a second one
        page.locator("details.why > summary").first.click()
        page.mouse.move(WIDTH - 5, HEIGHT - 5)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=PICTURE)
        browser.close()


def main() -> int:
    """Make the picture; return 1 where something for it is missing, or where it is too large."""
    chromium = os.environ.get("LSR_CHROMIUM") or shutil.which("chromium")
    if chromium is None or not INDEX.is_dir():
        sys.stderr.write("the picture needs chromium (apt-get install chromium) and the index of `make demo`\n")
        return 1
    take(serve(), chromium)
    size = PICTURE.stat().st_size
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {size:,} bytes, {WIDTH} × {HEIGHT}\n")
    return int(size >= LARGEST)


if __name__ == "__main__":
    sys.exit(main())
