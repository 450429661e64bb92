"""Checkpoints from the hub, against a server on this machine that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny

from cospeech import checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path):
    """A hub with one model, `someone/tiny`; returns its address and the list of paths it was asked for."""
    folder = tmp_path / "served"
    checkpoint.save(tiny.checkpoint(), folder)
    (folder / "evil.pkl").write_bytes(b"never to be fetched")
    (folder / "vocab.txt").write_text("words")
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(with_body=False)

        def do_GET(self):
            self.answer(with_body=True)

        def answer(self, with_body):
            asked.append(self.path)
            prefix = f"/someone/tiny/resolve/{COMMIT}/"
            if self.path.startswith("/api/models/someone/tiny/tree/"):
                names = [
                    {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0"}
                    for path in folder.iterdir()
                ]
                body, headers = json.dumps(names).encode(), {"Content-Type": "application/json"}
            elif self.path.startswith("/api/models/someone/tiny/"):
                names = [{"rfilename": path.name} for path in folder.iterdir()]
                body = json.dumps({"id": "someone/tiny", "sha": COMMIT, "siblings": names, "tags": []}).encode()
                headers = {"Content-Type": "application/json"}
            elif self.path.startswith(prefix) and (folder / self.path.removeprefix(prefix)).is_file():
                body = (folder / self.path.removeprefix(prefix)).read_bytes()
                headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def load_in_new_process(name, endpoint, home, what="checkpoint.load(sys.argv[1]).config.name"):
    script = f"import sys; from cospeech import checkpoint; print({what})"
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    return subprocess.run([sys.executable, "-c", script, name], env=env, capture_output=True, text=True)


def test_a_model_is_fetched_once_and_only_its_files(hub, tmp_path):
    endpoint, asked = hub
    run = load_in_new_process("someone/tiny", endpoint, tmp_path / "home")
    assert run.stdout.strip() == "tiny", run.stderr
    assert not [path for path in asked if "evil.pkl" in path]
    fetched = len([path for path in asked if "/resolve/" in path])
    again = load_in_new_process("someone/tiny", endpoint, tmp_path / "home")
    assert again.stdout.strip() == "tiny"
    assert len([path for path in asked if "/resolve/" in path]) == fetched  # from the cache


def test_a_model_that_is_not_there_is_one_clear_error(hub, tmp_path):
    run = load_in_new_process("someone/other", hub[0], tmp_path / "home")
    assert run.returncode
    last = run.stderr.strip().splitlines()[-1]
    assert "CheckpointError" in last
    assert "`someone/other`" in last


def test_no_network_is_one_clear_error(tmp_path):
    run = load_in_new_process("someone/tiny", "http://127.0.0.1:9", tmp_path / "home")
    last = run.stderr.strip().splitlines()[-1]
    assert "CheckpointError" in last
    assert "`someone/tiny`" in last


def test_of_another_repository_only_what_is_named_is_fetched(hub, tmp_path):
    endpoint, asked = hub
    what = "sorted(path.name for path in checkpoint.folder(sys.argv[1], ['vocab.txt']).iterdir())"
    run = load_in_new_process("someone/tiny", endpoint, tmp_path / "home", what)
    assert run.stdout.strip() == "['vocab.txt']", run.stderr
    assert [path.rpartition("/")[2] for path in set(asked) if "/resolve/" in path] == ["vocab.txt"]


def test_a_folder_here_is_taken_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "distilbert" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert checkpoint.folder("distilbert/base", ["vocab.txt"]) == Path("distilbert/base")
    assert checkpoint.folder(tmp_path / "no" / "such", []) == tmp_path / "no" / "such"
