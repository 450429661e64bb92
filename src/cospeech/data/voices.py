"""Speech of many voices, rates, pitches, languages and rooms, spoken by espeak-ng. For training only.

espeak-ng is a system program (GPL-3); its output belongs to whoever runs it. The sentences were written for this
project.

[1] Campione & Veronis 2002, A large-scale multilingual study of silent pause duration, Speech Prosody: pauses are
    log-normal, longer between sentences than within them
"""

import ctypes
import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech.errors import DataError
from cospeech.prosody import SAMPLE_RATE
from cospeech.speech import Speech

LANGUAGES = {  # key of sentences.json: espeak-ng voices that can read them; "en" is British
    "en": ("en-us", "en", "en-us-nyc", "en-gb-x-rp", "en-gb-scotland", "en-029"),
    "de": ("de",),
    "fr": ("fr", "fr-be"),
    "es": ("es", "es-419"),
    "it": ("it",),
    "pt": ("pt-br", "pt"),
    "nl": ("nl",),
    "sv": ("sv",),
    "pl": ("pl",),
    "tr": ("tr",),
    "hi": ("hi",),
    "cmn": ("cmn-latn-pinyin",),
    "ru": ("ru",),
    "fi": ("fi",),
    "id": ("id",),
    "ja": ("ja",),
}
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("klatt", "klatt2", "klatt3", "klatt5", "Alicia", "Andrea", "Andy", "Annie", "Gene", "Lee", "Mario", "Michael"),
    *("adam", "antonio", "aunty", "belinda", "boris", "ed", "grandma", "grandpa", "gustave", "john", "linda", "max"),
    *("norbert", "paul", "quincy", "rob", "robert", "sandro", "steph", "travis", "victor"),
)
HELD_OUT = frozenset({"m7", "f5", "Lee", "belinda", "sv", "tr"})  # variants and languages: validation split only
_HELD_OUT_EVERY = 6  # monologues
_ENGLISH_SHARE = 0.4  # of the monologues; the other languages share the rest
_VOICELESS_STOPS = ("p", "t", "k", "q", "c", "ʈ")
_CLAUSE = re.compile(r"[^,;:.?!…、。।]+[,;:.?!…、。।]*")


class Phone(NamedTuple):
    """One sound of speech, from `start_s` to `end_s` seconds into the recording, in IPA or ARPABET."""

    text: str
    start_s: float
    end_s: float


def is_held_out(voice: str) -> bool:
    """Whether a voice such as "sv+f3" belongs to the validation split."""
    return not HELD_OUT.isdisjoint(voice.split("+"))


def check() -> None:
    """Raise `DataError` where espeak-ng is not installed."""
    _library()


def monologues(count: int, seed: int) -> Iterator[tuple[str, Speech, tuple[Phone, ...]]]:
    """Monologues of about 25 s with pauses, each by one speaker: (voice name, speech at 16 kHz, its phones in order).

    One in six is by a speaker who is held out. The same seed gives the same monologues.
    """
    # espeak-ng's state, such as the phase of its flutter, outlives a text: only a fresh process repeats itself.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for number in range(count):
            yield pool.submit(_monologue, number, seed).result()


def _monologue(number: int, seed: int) -> tuple[str, Speech, tuple[Phone, ...]]:
    rng = np.random.default_rng((seed, number))
    language, voice = _speaker(number, rng)
    rate, pitch, melody = rng.integers(115, 205), rng.integers(18, 82), rng.integers(25, 85)
    gap = int(rng.integers(0, 4)) if rng.random() < 0.4 else 0  # between words, 10 ms
    hesitancy = rng.lognormal(sigma=0.3)
    duration_s = rng.uniform(19, 31)

    pieces, phones = [np.zeros(int(rng.uniform(0.2, 1.2) * _library().rate))], []
    spoken = len(pieces[0])
    for sentence in _endless(_sentences()[language], rng):
        for clause in _CLAUSE.findall(sentence):
            pace, height = rng.normal(scale=0.05), rng.normal(scale=4)
            settings = Settings(int(rate * np.exp(pace)), int(np.clip(pitch + height, 12, 88)), int(melody), gap)
            samples, said = speak(clause.strip(), voice, settings)
            ends = clause.rstrip()[-1:] in ".?!…。।"
            pause_s = hesitancy * rng.lognormal(np.log(0.55 if ends else 0.17), 0.6)  # [1]
            if ends and rng.random() < 0.14:  # waits, or listens
                pause_s += rng.uniform(1.0, 3.5)
            start_s = spoken / _library().rate
            phones += [Phone(text, begin + start_s, end + start_s) for text, begin, end in said]
            loudness = np.exp(rng.normal(scale=0.15))
            pieces += [loudness * samples, np.zeros(int(min(pause_s, 4.0) * _library().rate))]
            spoken += len(pieces[-2]) + len(pieces[-1])
        if spoken > duration_s * _library().rate:
            break
    clean = Speech(np.concatenate(pieces), _library().rate).resample(SAMPLE_RATE).samples
    return voice, Speech(_record(clean, rng), SAMPLE_RATE), tuple(phones)


def _speaker(number: int, rng: np.random.Generator) -> tuple[str, str]:
    """Language and voice of a monologue. Voices that are held out also speak the other languages."""
    held_out = number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    if held_out and rng.random() < 0.4:
        language = str(rng.choice([name for name in LANGUAGES if name in HELD_OUT]))
    elif rng.random() < _ENGLISH_SHARE:
        language = "en"
    else:
        language = str(rng.choice([name for name in LANGUAGES if name != "en" and name not in HELD_OUT]))
    variant = str(rng.choice([name for name in VARIANTS if (name in HELD_OUT) == held_out]))
    return language, f"{rng.choice(LANGUAGES[language])}+{variant}"


@cache
def _sentences() -> dict[str, list[str]]:
    return json.loads((files("cospeech.data") / "sentences.json").read_text(encoding="utf-8"))


def _endless(sentences: list[str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield from map(str, rng.permutation(sentences))


# --- the recording ----------------------------------------------------------------------------------------------


def _record(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) what a microphone in a room makes of a voice at 16 kHz: timbre, reverberation, band limits, hiss, level.

    A network that has heard it does not take the evenness of a synthetic voice for speech. Nothing is delayed.
    """
    size = 1 << (len(samples) + SAMPLE_RATE).bit_length()
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(hz, 50) / 1000)
    knots = np.linspace(-4.4, 3, 8)
    decibels = rng.normal(scale=1.5) * octaves + np.interp(octaves, knots, rng.normal(scale=2.0, size=len(knots)))
    response = 10 ** (np.clip(decibels, -20, 20) / 20)
    if rng.random() < 0.3:  # telephones, old codecs, small microphones
        low, high = rng.uniform(80, 300), rng.uniform(3400, 7200)
        response = response / np.sqrt((1 + (low / np.maximum(hz, 1)) ** 4) * (1 + (hz / high) ** 16))
    spectrum = np.fft.rfft(samples, size) * response
    if rng.random() < 0.6:
        length = int(rng.uniform(0.08, 0.5) * SAMPLE_RATE)  # until the room is 60 dB quieter
        room = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
        room *= 10 ** rng.uniform(-1.3, -0.3) / np.linalg.norm(room)
        room[0] += 1
        spectrum = spectrum * np.fft.rfft(room, size)
    heard = np.fft.irfft(spectrum, size)[: len(samples)]
    heard /= np.sqrt(np.mean(heard**2)) + 1e-9
    if rng.random() < 0.8:
        hiss = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * 2 ** (-rng.uniform(0, 0.5) * octaves), size)
        heard += 10 ** rng.uniform(-3.5, -1.4) * hiss[: len(samples)] / hiss.std()
    level = 10 ** rng.uniform(-1.7, -0.9)
    return np.clip(level * heard, -1, 1).astype(np.float32)


# --- espeak-ng --------------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """How a text is spoken."""

    rate: int  # words a minute
    pitch: int  # 0 to 99
    melody: int  # range of the pitch, 0 to 99
    gap: int  # pause between words, 10 ms


def speak(text: str, voice: str, settings: Settings) -> tuple[np.ndarray, list[Phone]]:
    """Speak a text: ((N,) samples at 22,050 Hz, phones in IPA without pauses). The sound ends with its last phone.

    Args:
        voice: espeak-ng language and variant, such as "en-us+f3".
    """
    library = _library()
    samples = _synthesise(text, voice, settings)
    phones = _phones(library.events, samples, library.rate)
    if not phones:
        raise DataError(f"espeak-ng finds nothing to say in {text!r} in the voice {voice!r}.")
    return samples[: int((phones[-1].end_s + 0.05) * library.rate)], phones


def speak_words(text: str, voice: str, settings: Settings) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Speak a text: ((N,) samples at 22,050 Hz, words as they stand in the text with the second each begins at).

    These are espeak-ng's own word events: a word that begins with p, t or k begins with its closure.
    """
    samples = _synthesise(text, voice, settings)
    words = [(text[begin : begin + length], start_s) for begin, length, start_s in _library().words]
    return samples, words


def _synthesise(text: str, voice: str, settings: Settings) -> np.ndarray:
    """(N,) samples; leaves the events of the text in the library."""
    library = _library()
    variant = voice.partition("+")[2]  # of one that it does not have, espeak-ng says nothing and takes none
    known = not variant or (library.variants / variant).is_file()
    if not known or library.functions.espeak_SetVoiceByName(voice.encode()) != 0:
        raise DataError(f"espeak-ng has no voice {voice!r}. Install espeak-ng 1.51 or newer: apt-get install espeak-ng")
    for parameter, value in zip(_PARAMETERS, settings, strict=True):
        library.functions.espeak_SetParameter(parameter, value, 0)
    library.blocks.clear()
    library.events.clear()
    library.words.clear()
    encoded = text.encode()
    library.functions.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
    if not library.blocks:
        raise DataError(f"espeak-ng says nothing for {text!r} in the voice {voice!r}.")
    return np.concatenate(library.blocks) / np.float32(2**15)


def _phones(events: list[tuple[str, float]], samples: np.ndarray, rate: int) -> list[Phone]:
    """Phones from espeak-ng's events (name, second), which mark a voiceless stop where the lips or tongue let go.

    Its closure, up to 0.08 s of quiet before, is given back to it.
    """
    hop = rate // 100
    power = np.square(samples[: len(samples) // hop * hop]).reshape(-1, hop).mean(axis=1)
    quiet = power < 0.01 * power.mean()
    starts = [start_s for _, start_s in events]
    for i, (name, start_s) in enumerate(events):
        if i and name.startswith(_VOICELESS_STOPS):
            earliest = max(start_s - 0.08, (starts[i - 1] + start_s) / 2)
            while starts[i] - 0.01 >= earliest and quiet[min(int(starts[i] * 100 - 0.5), len(quiet) - 1)]:
                starts[i] -= 0.01
    ends = [*starts[1:], len(samples) / rate]
    phones = [Phone(name, start, end) for (name, _), start, end in zip(events, starts, ends, strict=True)]
    # Pauses have no name; "(en)" says that another language follows.
    return [phone for phone in phones if phone.text and phone.text[0] != "(" and phone.end_s > phone.start_s]


# From espeak-ng's speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA, _DO_NOT_EXIT = 2, 0x3, 0x8000
_PARAMETERS = (1, 3, 4, 7)  # rate, pitch, range, word gap
_UTF8 = 1
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Library(NamedTuple):
    functions: ctypes.CDLL
    rate: int  # samples a second
    variants: Path  # folder with a file for each
    blocks: list[np.ndarray]  # what was spoken since they were last cleared
    events: list[tuple[str, float]]  # phone and second; an empty phone is a pause
    words: list[tuple[int, int, float]]  # first character, number of characters, second
    callback: object  # espeak-ng holds only its address


@cache
def _library() -> _Library:
    try:
        functions = ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        raise DataError("espeak-ng is needed to speak the training sentences: apt-get install espeak-ng") from None
    blocks: list[np.ndarray] = []
    events: list[tuple[str, float]] = []
    words: list[tuple[int, int, float]] = []

    def receive(samples, count, event) -> int:  # espeak-ng ends with a call without samples
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while event[i].type != _END_OF_LIST:
            if event[i].type == _PHONEME:
                name = event[i].id.string.decode(errors="ignore").strip("_")
                events.append((name, event[i].audio_position / 1000))
            if event[i].type == _WORD:
                words.append((event[i].text_position - 1, event[i].length, event[i].audio_position / 1000))
            i += 1
        return 0

    callback = _CALLBACK(receive)
    rate = functions.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA | _DO_NOT_EXIT)
    if rate < 1:
        raise DataError("espeak-ng cannot read its voices: apt-get install espeak-ng-data")
    functions.espeak_SetSynthCallback(callback)
    data = ctypes.c_char_p()
    functions.espeak_Info(ctypes.byref(data))
    variants = Path((data.value or b"").decode()) / "voices" / "!v"
    return _Library(functions, rate, variants, blocks, events, words, callback)
