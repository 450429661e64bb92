"""Who finds the words, and who is asked first where there is no transcript."""

import pytest

import cospeech.words as words
from cospeech import Speech
from cospeech.errors import ConfigError, CospeechWarning, DataError, MissingExtra
from cospeech.text import Word
from cospeech.words import Alignment, aligner, find_words, read_transcript, recogniser
from cospeech.words.mfa import Mfa
from cospeech.words.sphinx import PocketSphinx
from cospeech.words.whisper import Whisper


@pytest.fixture(autouse=True)
def _forget():
    yield
    forget()


def forget() -> None:
    for cached in (aligner, recogniser, words._pocketsphinx):
        cached.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    """Pretend that just these are."""

    def have(*names: str) -> None:
        forget()
        found = {"whisper": "faster_whisper"}
        packages = [found.get(name, name) for name in names]
        for module in (words, words.whisper, words.sphinx):
            monkeypatch.setattr(module, "find_spec", lambda name: name if name in packages else None)
        for module in (words, words.mfa):
            monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}" if name in names else None)
        monkeypatch.setattr(Whisper, "is_here", "whisper" in names)

    return have


@pytest.mark.parametrize(
    ("have", "language", "kind"),
    [
        (("pocketsphinx",), None, PocketSphinx),
        (("pocketsphinx", "whisper"), "en", PocketSphinx),
        (("pocketsphinx", "whisper"), "de", Whisper),
        (("whisper",), None, Whisper),
        (("pocketsphinx", "whisper", "mfa"), None, Mfa),
    ],
)
def test_auto_takes_the_most_exact_that_is_there(installed, have, language, kind):
    installed(*have)
    assert type(aligner("auto", None, language)) is kind


def test_nothing_installed_names_the_extra(installed):
    installed()
    for name in ("auto", "pocketsphinx"):
        with pytest.raises(MissingExtra, match=r"cospeech\[align\]"):
            aligner(name)
    with pytest.raises(MissingExtra, match=r"cospeech\[whisper\]"):
        aligner("auto", None, "de")
    with pytest.raises(ConfigError, match="conda install"):
        aligner("mfa")


def test_pocketsphinx_has_one_model_and_one_language():
    with pytest.raises(ConfigError, match="--model base"):
        aligner("pocketsphinx", "base")
    with pytest.raises(ConfigError, match="--language de"):
        aligner("pocketsphinx", None, "de")


def test_mfa_needs_a_model_of_another_language(installed):
    installed("mfa")
    with pytest.raises(ConfigError, match="--model german_mfa"):
        aligner("mfa", None, "de")
    assert aligner("mfa", "german_mfa", "de").dictionary == "german_mfa"


def test_whisper_listens_where_it_can(installed):
    installed("pocketsphinx")
    assert type(recogniser("auto")) is PocketSphinx
    installed("pocketsphinx", "whisper")
    assert type(recogniser("pocketsphinx")) is Whisper
    assert recogniser("auto", "base").model == "base"
    assert recogniser("mfa", "german_mfa", "de").model is None


@pytest.mark.parametrize(("language", "again"), [("en", True), ("de", False)])
def test_what_whisper_understood_in_english_is_aligned_more_exactly(installed, monkeypatch, speech, language, again):
    installed("pocketsphinx", "whisper")
    heard, exact = (Alignment((Word(text, 0, 1),), language=language) for text in ("rough", "exact"))
    monkeypatch.setattr(Whisper, "recognise", lambda self, speech, progress: heard)
    monkeypatch.setattr(PocketSphinx, "align", lambda self, speech, text, progress: exact if text == "rough" else None)
    assert find_words(speech, None) == (exact if again else heard)
    assert find_words(speech, None, "whisper") == heard


def test_the_rough_recogniser_says_so(monkeypatch, speech):
    monkeypatch.setattr(PocketSphinx, "recognise", lambda self, speech, progress: Alignment((), language="en"))
    with pytest.warns(CospeechWarning, match="the built-in recogniser is rough"):
        find_words(speech, None)


def test_a_transcript_is_text(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("Grüße", encoding="utf-16")
    assert read_transcript(path) == "Grüße"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"talk\.txt: not a transcript in UTF-8"):
        read_transcript(path)
    path.write_text(" \n")
    with pytest.raises(DataError, match=r"talk\.txt: is empty"):
        read_transcript(path)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        read_transcript(tmp_path / "none.txt")


def test_speech_of_the_fixture_is_no_words(speech):
    with pytest.raises(DataError, match="None of the 1 words"):
        find_words(Speech(speech.samples * 0, speech.rate), "hello")
