"""The page for browsers: the files that web/ is built into, held in memory with their compressed forms.

The name of every file but index.html contains a hash of its content, so that browsers cache it for ever; index.html is
revalidated with its ETag. Each path of the page's own router is a route here, and is answered with index.html.
"""

import gzip
import logging
import mimetypes
from pathlib import Path

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.caching import entity_tag, unless_known
from danube_pkg.edges.http.server.compression import takes_gzip
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.server.security import PAGE_POLICY
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.records import Record

MAX_FILES = 500
MAX_FILE_BYTES = 4 * 1024**2
"""The built page has thirty files of 100 KB at most. What exceeds these limits is not Danube's page."""

SMALLEST_GAIN_BYTES = 512
"""A shorter file does not become shorter when it is compressed."""

ASSETS = "assets/"
"""The folder whose file names contain a hash of the content."""

NOT_BUILT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Danube</title></head><body>
<h1>Danube is running</h1>
<p>Its page has not been built yet. In Danube's directory, run:</p>
<pre>make setup</pre>
<p>The command line (<code>danube --help</code>) and the <a href="/docs">API</a> work without it.</p>
</body></html>
"""

_log = logging.getLogger("danube.http")


class PageFile(Record):
    """packed: compressed with gzip, None if that is not shorter. content: the media type. tag: the ETag of `data`."""

    data: bytes
    packed: bytes | None
    content: str
    tag: str


class PageFiles:
    """The files of a directory, read at the first request, and again when index.html has changed."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._files: dict[str, PageFile] = {}
        self._read_at: int | None = None

    def find(self, name: str) -> PageFile | None:
        """None if there is no such file, or if the page is not built."""
        if self._directory is None:
            return None
        try:
            changed_at = (self._directory / "index.html").stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if changed_at != self._read_at:
            self._files = _read(self._directory)
            self._read_at = changed_at
        return self._files.get(name)


def _read(directory: Path) -> dict[str, PageFile]:
    found: dict[str, PageFile] = {}
    for path in sorted(directory.rglob("*")):
        if not path.is_file():
            continue
        if len(found) == MAX_FILES or path.stat().st_size > MAX_FILE_BYTES:
            _log.warning("page-file-left-out", extra={"fields": {"path": str(path)}})
            continue
        data = path.read_bytes()
        packed = gzip.compress(data, 9, mtime=0) if len(data) > SMALLEST_GAIN_BYTES else data
        name = path.relative_to(directory).as_posix()
        found[name] = PageFile(data, packed if len(packed) < len(data) else None, _content(name), entity_tag(data))
    return found


def _content(name: str) -> str:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


class PageResource(Resource):
    """What the resources for files of the page share."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.files = PageFiles(services.site.page_directory)

    def answer(self, request: Request, name: str) -> Response:
        """Raises NotFound."""
        file = self.files.find(name)
        if file is None:
            raise NotFound("no-such-path", f"there is nothing at {request.path}", hint="the paths are listed at /docs")
        kept = "public, max-age=31536000, immutable" if name.startswith(ASSETS) else "no-cache"
        headers = [("content-type", file.content), ("etag", file.tag), ("cache-control", kept)]
        headers += [("vary", "accept-encoding"), ("content-security-policy", PAGE_POLICY)]
        if file.packed is not None and takes_gzip(request):
            return unless_known(request, Response(200, file.packed, (*headers, ("content-encoding", "gzip"))))
        return unless_known(request, Response(200, file.data, tuple(headers)))


class Page(PageResource):
    """The paths of the page's router."""

    @answers(200, 304, content="text/html; charset=utf-8")
    async def GET(self, request: Request) -> Response:
        """Danube's page."""
        if self.files.find("index.html") is None:
            headers = (("content-type", "text/html; charset=utf-8"), ("content-security-policy", PAGE_POLICY))
            return Response(200, NOT_BUILT, headers)
        return self.answer(request, "index.html")


class PageAssets(PageResource):
    """`/assets/…`."""

    @answers(200, 304, content="*/*", refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """A file of the page whose name contains a hash of its content."""
        return self.answer(request, ASSETS + request.arguments["rest"])


class PageRoot(PageResource):
    """The files of the page whose names are fixed."""

    @answers(200, 304, content="*/*", refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """A file of the page with a fixed name."""
        return self.answer(request, request.path.removeprefix("/"))
