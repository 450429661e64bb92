"""`cospeech align`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from cospeech.cli.progress import progress_bar
from cospeech.errors import CospeechError, DataError, FormatError

if TYPE_CHECKING:
    from cospeech.speech import Speech
    from cospeech.words import Alignment


def align(
    audio: Annotated[Path, arg(metavar="AUDIO")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    transcript: Path | None = None,
    aligner: Literal["auto", "pocketsphinx", "whisper", "mfa"] = "auto",
    model: str | None = None,
    language: str | None = None,
    resume: bool = False,
) -> None:
    """Find out when each word of a recording is said: a TextGrid with tiers of words and phones.

    Everything happens on this machine. What else is there, such as Whisper for other languages: docs/words.md.

    Example: cospeech align talk.wav talk.TextGrid --transcript talk.txt

    Args:
        audio: Speech recording: wav, flac, mp3, ogg, m4a, any sample rate. Or a folder of recordings, or a .txt or
            .csv file that lists one recording a line: then OUT is a folder and gets one file for each.
        out: TextGrid to write, for Praat and for `cospeech generate --words`.
        transcript: Text file with what is said. For several recordings a folder of .txt or .lab files of the same
            names. Default: the .txt or .lab file of the same name beside the recording; where there is none the speech
            is recognised first.
        aligner: pocketsphinx is built in, offline, for English. whisper (extra `whisper`) knows other languages. mfa is
            the Montreal Forced Aligner, a program of its own. auto: mfa where it is installed, else pocketsphinx, and
            whisper for another --language.
        model: Of Whisper: a size such as base or large-v3, a folder, or a hub id; what is not on this machine is
            downloaded. Of mfa: the name of its acoustic model and dictionary, such as german_mfa. Default: small, if
            it is here; english_us_arpa.
        language: Code of the language, such as de. Default: English, but Whisper listens for it.
        resume: Leave out recordings whose file is there already, as after an interruption.
    """
    from cospeech import batch
    from cospeech.formats.output import check_target, replacing
    from cospeech.speech import Speech
    from cospeech.text import write_tiers
    from cospeech.words import aligner as aligner_of

    aligner_of(aligner, model, language)  # what is not installed fails here
    one = batch.is_one(audio)
    if one and out.suffix.lower() != ".textgrid":
        raise FormatError(f"{out}: the words are written as a TextGrid: give a name that ends in .TextGrid.")
    jobs = batch.jobs(audio, out, ".TextGrid")
    transcripts = batch.transcripts_of(jobs, transcript)
    for job in jobs:  # a target that cannot be written fails here, before the slow part
        check_target(job.out)
    left = [each for each in zip(jobs, transcripts, strict=True) if not (resume and each[0].out.exists())]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} are there already")
    failed = 0
    for job, path in left:
        try:
            speech = Speech.load(job.audio)
            with progress_bar(f"align {job.audio.name}") as progress:
                found = find_words_of(job.audio, speech, path, aligner, model, language, progress)
            with replacing(job.out) as temporary:
                write_tiers(temporary, found.tiers, speech.duration_s)
        except CospeechError as error:
            if one:
                raise
            failed += 1  # the other recordings of a batch are not to suffer
            print(f"error: {error}", file=sys.stderr)
            continue
        print(f"wrote {job.out}")
        print(f"{len(found.words)} words, {len(found.phones)} phones" + (f", transcript {path.name}" if path else ""))
    if failed:
        raise CospeechError(f"{failed} of {len(left)} recordings failed; what could be written is.")


def find_words_of(audio: Path, speech: "Speech", transcript: Path | None, *settings) -> "Alignment":
    """`words.find_words` with what it cannot read said of a file."""
    from cospeech.words import find_words, read_transcript

    text = read_transcript(transcript) if transcript else None
    try:
        found = find_words(speech, text, *settings)
    except DataError as error:
        raise DataError(f"{transcript or audio}: {error}") from None
    _tell_of_differences(audio, found)
    return found


def _tell_of_differences(audio: Path, found: "Alignment") -> None:
    """What of a transcript was not found in the sound, and the other way round."""
    notes = [
        f'"{_shortened(stretch.text)}" of the transcript, about {stretch.start_s:.1f} s, is not found in the sound'
        for stretch in found.missing
    ]
    notes += [
        f"what is said from {stretch.start_s:.1f} to {stretch.end_s:.1f} s is not found in the transcript"
        for stretch in found.unscripted
    ]
    for note in notes[:10]:
        print(f"note: {audio.name}: {note}", file=sys.stderr)
    if len(notes) > 10:
        print(f"note: {audio.name}: and {len(notes) - 10} more such differences", file=sys.stderr)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
