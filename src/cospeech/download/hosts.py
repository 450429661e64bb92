"""Where files lie: what a host says of them before they are fetched, and the address of each."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote, urlsplit

from cospeech.download.table import File, Hub, Web
from cospeech.errors import DownloadError

# Names of files in a listing become names of files here, so they are nothing but names.
_PLAIN_NAME = re.compile(r"\w[\w .()=+-]*", re.ASCII)


class WebHost:
    def __init__(self, web: Web, mirror: str | None):
        base = urlsplit(web.url)
        self._base = mirror + base.path if mirror else web.url

    def files_in(self, pattern: str) -> list[File] | None:
        return None  # plain files have no listing

    def ask(self, files: Sequence[File]) -> list[File | None]:
        return list(files)

    def url(self, path: str) -> str:
        return f"{self._base}/{quote(path)}"


class HubHost:
    """Asks the hub nothing until it must; then everything is of the commit that the revision names at that moment."""

    def __init__(self, hub: Hub, mirror: str | None):
        self._hub, self._mirror = hub, mirror
        self._commit = hub.revision if re.fullmatch("[0-9a-f]{40}", hub.revision) else None

    def files_in(self, pattern: str) -> list[File] | None:
        """The files that `folder/*.suffix` means; None where there is no such folder."""
        from huggingface_hub.errors import EntryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        folder, _, suffix = pattern.partition("/*")
        hub = self._hub
        try:
            with self._asking():
                tree = self._api().list_repo_tree(hub.repository, folder, revision=self._pin(), repo_type=hub.kind)
                entries = [entry for entry in tree if isinstance(entry, RepoFile) and entry.path.endswith(suffix)]
        except EntryNotFoundError:
            return None
        for entry in entries:
            if not _PLAIN_NAME.fullmatch(entry.path.removeprefix(f"{folder}/")):
                raise DownloadError(f"{hub.page}: lists {entry.path!r}, no plain name in {folder}. Refused.")
        return [File(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None) for entry in entries]

    def ask(self, files: Sequence[File]) -> list[File | None]:
        """The files with size and SHA-256 as far as the hub knows them; None for those it does not have.

        Raises:
            DownloadError: the hub cannot be asked, or has a file of another SHA-256 than is known.
        """
        from huggingface_hub.hf_api import RepoFile

        unknown = [file.path for file in files if file.size is None]
        if not unknown:
            return list(files)
        hub = self._hub
        with self._asking():
            found = self._api().get_paths_info(hub.repository, unknown, revision=self._pin(), repo_type=hub.kind)
        entries = {entry.path: entry for entry in found if isinstance(entry, RepoFile)}
        answers: list[File | None] = []
        for file in files:
            if file.size is not None:
                answers.append(file)
            elif (entry := entries.get(file.path)) is None:
                answers.append(None)
            else:
                sha256 = entry.lfs.sha256 if entry.lfs else None
                if sha256 and file.sha256 and sha256 != file.sha256:
                    raise DownloadError(
                        f"{hub.page}: {file.path} has the SHA-256 {sha256} there, but {file.sha256} is known of "
                        "it. It has been exchanged."
                    )
                answers.append(replace(file, size=entry.size, sha256=file.sha256 or sha256))
        return answers

    def url(self, path: str) -> str:
        from huggingface_hub import hf_hub_url

        hub = self._hub
        return hf_hub_url(
            hub.repository, path, repo_type=hub.kind, revision=self._commit or hub.revision, endpoint=self._mirror
        )

    def _pin(self) -> str:
        """The commit that the revision names."""
        hub = self._hub
        if self._commit is None:
            with self._asking():
                self._commit = self._api().repo_info(hub.repository, revision=hub.revision, repo_type=hub.kind).sha
        return self._commit or hub.revision

    def _api(self):
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._mirror, token=False)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from huggingface_hub.errors import EntryNotFoundError

        try:
            yield
        except (DownloadError, EntryNotFoundError):
            raise
        except Exception as error:  # that library has changed its HTTP client twice; each raises errors of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DownloadError(f"{self._hub.page}: cannot be asked for its files ({reason}).") from None
