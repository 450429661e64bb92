"""`cospeech demo`."""

from pathlib import Path

from cospeech.cli.options import check_device, load_body


def demo(
    host: str = "127.0.0.1",
    port: int = 7860,
    models: tuple[str, ...] = ("starter", "starter-open"),
    max_seconds: float = 120.0,
    max_megabytes: float = 25.0,
    keep_minutes: float = 60.0,
    device: str = "cpu",
    body: Path | None = None,
    embed_licensed_body: bool = False,
) -> None:
    """A web page on this machine: record or upload speech, say what the body should do, watch, download.

    Only this machine can open it, nothing is sent anywhere, and what visitors bring and get is deleted when they leave.

    Example: cospeech demo

    Args:
        host: Address to listen on. 0.0.0.0 lets everybody in your network open the page, see docs/demo.md first.
        port: Of the address; 0 takes a free one.
        models: What visitors can choose among: released names, checkpoint directories, hub ids. The first is loaded at
            once, the others when they are wanted.
        max_seconds: How long a recording may be.
        max_megabytes: How large a file may be that is uploaded.
        keep_minutes: What a visitor brought and got is deleted after so long without that visitor doing anything.
        device: cpu, cuda, ...
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is sent to whoever opens the page.
    """
    from cospeech.demo.server import serve

    if device != "cpu":  # to know takes torch, which the first page need not wait for
        check_device(device)
    shown = load_body(body)
    if shown:
        from cospeech.formats.gltf import check_may_embed

        check_may_embed(shown, embed_licensed_body)
    serve(
        host=host, port=port, models=models, max_seconds=max_seconds, max_megabytes=max_megabytes,
        keep_minutes=keep_minutes, device=device, body=shown,
    )  # fmt: skip
