"""The program behind the page: addresses, limits, and the end of it."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cospeech.body import Body
from cospeech.demo.studio import Studio, hear_warnings
from cospeech.demo.visits import PAGES, Visits
from cospeech.errors import ConfigError, CospeechError, MissingExtra
from cospeech.speech import Speech

_SWEEP_S = 60.0
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# A player holds what visitors wrote: whatever became of it, it is a page of nobody and reaches nothing of this server.
_HEADERS_OF_PLAYERS = _HEADERS | {"Content-Security-Policy": "sandbox allow-scripts"}


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    models: Sequence[str] = ("starter", "starter-open"),
    max_seconds: float = 120.0,
    max_megabytes: float = 25.0,
    keep_minutes: float = 60.0,
    device: str = "cpu",
    body: Body | None = None,
) -> None:
    """Serve the page until it is interrupted.

    Args:
        host: Address to listen on; 127.0.0.1 is reached from this machine alone.
        port: 0 takes a free one.
        models: What visitors can choose among, the first unless they do.
        max_seconds: Of speech.
        max_megabytes: Of a file that is uploaded.
        keep_minutes: After which the files of a visitor who does nothing are deleted.
        body: Shown in place of the mannequin. Its mesh goes to every visitor.

    Raises:
        ConfigError: a limit makes no sense, or the address is taken.
        MissingExtra: Gradio is not installed.
        CheckpointError: the first model cannot be loaded.
    """
    for name, value in (("max-seconds", max_seconds), ("max-megabytes", max_megabytes), ("keep-minutes", keep_minutes)):
        if not value > 0:
            raise ConfigError(f"--{name} {value:g}: must be above 0.")
    if not models:
        raise ConfigError("--models: name at least one.")
    listening = _listen(host, port)
    with listening, tempfile.TemporaryDirectory(prefix="cospeech-demo-", ignore_cleanup_errors=True) as folder:
        visits = Visits(Path(folder), 60 * keep_minutes)
        # Gradio reads these when it is imported: where uploads go, and that nobody is told of this page.
        os.environ["GRADIO_TEMP_DIR"] = str(visits.uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        studio = Studio(models, device, body)
        app = application(studio, visits, max_seconds, max_megabytes, keep_minutes)
        import uvicorn  # comes with Gradio, as does what the page imports

        from cospeech.demo.page import EXAMPLE

        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        server.handle_exit = _with_farewell(server.handle_exit, app, visits)
        unusable: list[CospeechError] = []

        def warm_up() -> None:
            try:
                studio.warm_up(Speech.load(EXAMPLE).cut(0, 5))
            except CospeechError as error:
                unusable.append(error)
                server.should_exit = True

        hear_warnings()
        _in_background(warm_up)
        _in_background(_sweep, visits)
        shown = f"[{host}]" if ":" in host else host
        print(f"Open http://{shown}:{listening.getsockname()[1]} in a browser. Ctrl-C ends it.", flush=True)
        server.run(sockets=[listening])
        if unusable:
            raise unusable[0]


def application(studio: Studio, visits: Visits, max_seconds: float, max_megabytes: float, keep_minutes: float):
    """The ASGI application: the page at /, players below /watch and downloads below /files."""
    try:
        import gradio as gr
    except ImportError:
        raise MissingExtra("gradio", "demo") from None
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, PlainTextResponse

    from cospeech.demo import page
    from cospeech.demo.desk import Desk, Limits

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gone = "This has been deleted. Go back to the page and generate it again."

    @app.get("/watch/{token}/{number}/{page_name}")
    def watch(token: str, number: str, page_name: str):
        path = visits.file(token, number, page_name) if page_name in PAGES else None
        if path is None:
            return PlainTextResponse(gone, 404, _HEADERS)
        return FileResponse(path, media_type="text/html", headers=_HEADERS_OF_PLAYERS)

    @app.get("/files/{token}/{number}/{name}")
    def download(token: str, number: str, name: str):
        path = visits.file(token, number, name)
        if path is None:
            return PlainTextResponse(gone, 404, _HEADERS)
        return FileResponse(path, media_type="application/octet-stream", filename=name, headers=_HEADERS)

    desk = Desk(studio, visits, Limits(max_seconds, max_megabytes))
    return gr.mount_gradio_app(
        app, page.build(desk, keep_minutes), path="/",
        footer_links=[], run_history=False, ssr_mode=False, pwa=False, enable_monitoring=False, mcp_server=False,
        show_error=False, max_file_size=round(max_megabytes * 1e6),
        theme=page.THEME, css=page.css(),
    )  # fmt: skip


def _with_farewell(handle_exit, app, visits: Visits):
    """Open pages hold a connection, by which Gradio knows that their visitors are there: it has to be let go."""

    def handle(signal, frame) -> None:
        visits.stop_all()
        app.routes[-1].app.stop_event.set()
        handle_exit(signal, frame)

    return handle


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two programs have the same port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--host {host} --port {port}: cannot be used ({reason}). Try another port.") from None
    return listening


def _in_background(work, *arguments) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _sweep(visits: Visits) -> None:
    while True:
        time.sleep(min(_SWEEP_S, visits.keep_s))
        visits.sweep()
