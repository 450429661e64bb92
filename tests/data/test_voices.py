import ctypes

import numpy as np
import pytest

from cospeech import prosody
from cospeech.data import voices
from cospeech.data.voices import Settings, is_held_out, monologues, speak
from cospeech.errors import DataError

try:
    ctypes.CDLL("libespeak-ng.so.1")
except OSError:
    pytest.skip("espeak-ng is not installed", allow_module_level=True)

SETTINGS = Settings(rate=150, pitch=50, melody=50, gap=0)


@pytest.fixture(scope="module")
def spoken():
    return list(monologues(7, seed=5))


def level_db(samples, rate, start_s, end_s):
    part = samples[int(start_s * rate) : int(end_s * rate)]
    return 10 * np.log10(np.mean(part**2) / np.mean(samples**2) + 1e-9)


@pytest.mark.parametrize("variant", ["f2", "m3", "klatt2"])
def test_phone_times_fit_the_sound(variant):
    """Lips are closed while a /p/ is held: no sound. Vowels are loud."""
    samples, phones = speak("a paper, a copper pipe, happy Papa.", f"en-us+{variant}", SETTINGS)
    rate = 22_050
    stops = [phone for phone in phones if phone.text == "p"]
    assert len(stops) >= 5
    assert np.median([phone.end_s - phone.start_s for phone in stops]) > 0.06  # a closure, not only its release
    assert np.median([level_db(samples, rate, p.start_s + 0.01, p.start_s + 0.03) for p in stops]) < -25
    vowels = [phone for phone in phones if phone.text[0] in "aæeɪiɑ"]
    assert np.median([level_db(samples, rate, p.start_s, p.start_s + 0.06) for p in vowels]) > -4


def test_phones_are_in_order_and_inside_the_recording(spoken):
    for _, speech, phones in spoken:
        times = np.array([(phone.start_s, phone.end_s) for phone in phones])
        assert (times[:, 1] > times[:, 0]).all()
        assert (times[1:, 0] >= times[:-1, 1] - 1e-9).all()
        assert 0 <= times[0, 0] < times[-1, 1] <= speech.duration_s
        assert 15 < speech.duration_s < 45
        assert all(phone.text and "(" not in phone.text for phone in phones)


def test_it_is_loud_where_phones_are_and_quiet_in_pauses(spoken):
    for _, speech, phones in spoken:
        envelope = prosody.energy_envelope(speech.samples, speech.num_frames(100), 100)
        at = np.arange(len(envelope)) / 100
        said = np.zeros(len(at), bool)
        for phone in phones:
            said |= (at >= phone.start_s) & (at < phone.end_s)
        away = np.convolve(said, np.ones(31), mode="same") == 0  # 0.15 s from any phone
        assert envelope[said].mean() > 0.5
        assert envelope[away].mean() < 0.15


def test_the_same_seed_says_the_same(spoken):
    for (voice, speech, phones), (again, sounds_again, phones_again) in zip(
        spoken, monologues(2, seed=5), strict=False
    ):
        assert voice == again
        assert phones == phones_again
        np.testing.assert_array_equal(speech.samples, sounds_again.samples)
    other = next(monologues(1, seed=6))
    assert len(other[1].samples) != len(spoken[0][1].samples)


def test_some_speakers_are_held_out(spoken):
    assert [is_held_out(voice) for voice, _, _ in spoken] == [False] * 5 + [True] + [False]
    variants = {voice.split("+")[1] for voice, _, _ in spoken if not is_held_out(voice)}
    assert len(variants) > 3
    assert is_held_out("sv+f1")
    assert is_held_out("en-us+m7")
    assert not is_held_out("en-us+f1")
    assert any(language in voices.HELD_OUT for language in voices.LANGUAGES)


@pytest.mark.parametrize("language", voices.LANGUAGES)
def test_every_sentence_can_be_read_in_its_language(language):
    """espeak-ng reads what it does not know in English, or spells it: it then switches the language."""
    sentences = voices._sentences()[language]
    assert len(sentences) == len(set(sentences)) >= 12
    for name in voices.LANGUAGES[language]:
        for sentence in sentences[::3]:
            _, phones = speak(sentence, f"{name}+f2", SETTINGS)
            assert not any(name.startswith("(") for name, _ in voices._library().events), sentence
            assert 5 < len(phones) / phones[-1].end_s < 20, sentence


@pytest.mark.parametrize("variant", voices.VARIANTS)
def test_every_variant_exists(variant):
    samples, _ = speak("hello", f"en-us+{variant}", SETTINGS)
    assert samples.std() > 0.01


@pytest.mark.parametrize("voice", ["nobody", "en-us+nobody"])
def test_an_unknown_voice_or_variant_is_named(voice):
    with pytest.raises(DataError, match="nobody"):
        speak("hello", voice, SETTINGS)
