"""The style sheet, icons and scripts: served with a digest in their address, packed beforehand."""

from __future__ import annotations

import mimetypes
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

FOLDER = Path(__file__).parent / "static"
_KEEP = "public, max-age=31536000, immutable"
_ASK = "no-cache"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class StaticFiles:
    """Every file under a folder. What is asked for by its digest may be kept by browsers for a year."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, Path] = {}
        self._digests: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and path.suffix != ".gz" and not path.name.startswith("."):
                self._files[name] = path
                self._digests[name] = sha256(path.read_bytes()).hexdigest()[:12]

    def has(self, name: str) -> bool:
        return name in self._files

    def address(self, name: str) -> str:
        """The address under which a page asks for the file."""
        return f"/static/{name}?v={self._digests.get(name, '0')}"

    def text(self, name: str) -> str:
        """The content of a text file."""
        return self._files[name].read_text(encoding="utf-8")

    async def serve(self, request: Request) -> Response:
        """Answer a request for `{name}`."""
        name = request.path_params["name"]
        path = self._files.get(name)
        if path is None:
            raise HTTPException(404)
        tag = f'"{self._digests[name]}"'
        kept = "v" in request.query_params or path.name.startswith("part-")
        headers = {"cache-control": _KEEP if kept else _ASK, "etag": tag, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        packed = path.with_name(path.name + ".gz")
        if packed.is_file() and "gzip" in request.headers.get("accept-encoding", ""):
            path, headers["content-encoding"] = packed, "gzip"
        media = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
        return FileResponse(path, headers=headers, media_type=media or "application/octet-stream")
