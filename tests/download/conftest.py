import pytest
from local_host import serve

from cospeech.download import transfer


@pytest.fixture
def host(monkeypatch):
    """A host on this machine; nobody waits between attempts."""
    monkeypatch.setattr(transfer, "_PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as local:
        yield local
