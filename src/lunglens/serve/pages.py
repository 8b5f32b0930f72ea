"""The one page with its files, health, readiness and metrics: what is no part of the API."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from lunglens.files import templates
from lunglens.serve.service import Service

_STATIC = {"app.js": "text/javascript", "viewer.js": "text/javascript", "app.css": "text/css"}
_STATIC |= {"icon.svg": "image/svg+xml"}

pages = APIRouter(include_in_schema=False)


@pages.get("/")
def page() -> Response:
    """The one page."""
    return HTMLResponse(_file("page.html"))


@pages.get("/static/{name}")
def static(name: str) -> Response:
    """The page's script and style."""
    if name not in _STATIC:
        raise HTTPException(404, "no such file")
    return Response(_file(name), media_type=_STATIC[name])


@pages.get("/api/docs")
def api_docs(request: Request) -> Response:
    """The API's document as a page, which fetches nothing from elsewhere."""
    return HTMLResponse(
        templates(__package__).get_template("api_docs.html.jinja").render(document=request.app.openapi())
    )


@pages.get("/healthz")
def health() -> Response:
    """Whether the server answers."""
    return PlainTextResponse("ok\n")


@pages.get("/readyz")
def ready(request: Request) -> Response:
    """Whether films are analysed."""
    is_ready = service_of(request).is_ready
    return PlainTextResponse("ready\n" if is_ready else "not ready\n", 200 if is_ready else 503)


@pages.get("/metrics")
def metrics_text(request: Request) -> Response:
    """Prometheus metrics."""
    return PlainTextResponse(request.app.state.metrics.text(service_of(request)))


def service_of(request: Request) -> Service:
    """The queue and its results."""
    service: Service = request.app.state.service
    return service


def _file(name: str) -> bytes:
    return (Path(str(files(__package__))) / "static" / name).read_bytes()
