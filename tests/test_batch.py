"""Which recordings are read and which files are written."""

import pytest

from cospeech.batch import Job, jobs, transcripts_of, words_of
from cospeech.errors import CospeechError


def test_one_recording_is_one_job_whatever_its_name(tmp_path):
    recording = tmp_path / "talk"  # not looked at: that it exists is the decoder's business
    assert jobs(recording, tmp_path / "talk.glb", ".npz") == [Job(recording, tmp_path / "talk.glb")]


def test_a_folder_gives_its_recordings_in_order_and_nothing_else(tmp_path):
    for name in ("b.WAV", "a.mp3", "c.txt", "d.npz", ".wav"):
        (tmp_path / name).touch()
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "e.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    made = jobs(tmp_path, tmp_path / "out", ".glb")
    assert made == [
        Job(tmp_path / "a.mp3", tmp_path / "out" / "a.glb"),
        Job(tmp_path / "b.WAV", tmp_path / "out" / "b.glb"),
    ]


def test_a_list_is_relative_to_itself_and_its_first_column_counts(tmp_path):
    (tmp_path / "sounds").mkdir()
    for name in ("a.wav", 'b, the "second".wav'):
        (tmp_path / "sounds" / name).touch()
    absolute = tmp_path / "sounds" / "a.wav"
    text = '\ufeff# who, when\nsounds/a.wav,1\n\n"sounds/b, the ""second"".wav",2\n'
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    (tmp_path / "list.txt").write_text(f"{absolute}\n")
    made = jobs(tmp_path / "list.csv", tmp_path / "out", ".npz")
    assert [job.audio for job in made] == [absolute, tmp_path / "sounds" / 'b, the "second".wav']
    assert [job.out.name for job in made] == ["a.npz", 'b, the "second".npz']
    assert jobs(tmp_path / "list.txt", tmp_path / "out", ".npz") == [Job(absolute, tmp_path / "out" / "a.npz")]


def test_a_line_of_a_text_list_is_a_name_even_with_a_comma(tmp_path):
    (tmp_path / "well, hello.wav").touch()
    (tmp_path / "list.txt").write_text("well, hello.wav\n")
    assert jobs(tmp_path / "list.txt", tmp_path / "out", ".npz")[0].audio == tmp_path / "well, hello.wav"


def test_the_suffix_may_be_given_without_its_dot(tmp_path):
    (tmp_path / "a.wav").touch()
    assert jobs(tmp_path, tmp_path / "out", "bvh")[0].out == tmp_path / "out" / "a.bvh"


@pytest.mark.parametrize("content", [b"", b"\n# only a comment\n", b"\xff\xfe\x00bad", b"a\0b", b"missing.wav\n"])
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_a_useless_list_is_an_error_that_names_it(suffix, content, tmp_path):
    (tmp_path / f"list{suffix}").write_bytes(content)
    with pytest.raises(CospeechError, match=rf"list\{suffix}: "):
        jobs(tmp_path / f"list{suffix}", tmp_path / "out", ".npz")


def test_recordings_that_would_become_one_file_are_an_error(tmp_path):
    for name in ("a.wav", "a.mp3"):
        (tmp_path / name).touch()
    with pytest.raises(CospeechError, match=r"would both become a\.npz"):
        jobs(tmp_path, tmp_path / "out", ".npz")


def test_several_recordings_do_not_go_into_one_file(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(CospeechError, match="must be a folder"):
        jobs(tmp_path, tmp_path / "out.npz", ".npz")


def test_a_folder_without_recordings_is_an_error(tmp_path):
    with pytest.raises(CospeechError, match="no recordings in this folder"):
        jobs(tmp_path, tmp_path / "out", ".npz")


def test_every_recording_has_its_own_words(tmp_path):
    made = [Job(tmp_path / f"{name}.wav", tmp_path / f"{name}.npz") for name in "ab"]
    for name in "ab":
        (tmp_path / f"{name}.TextGrid").touch()
    assert words_of(made, None) == [(), ()]
    assert words_of(made, tmp_path) == [tmp_path / "a.TextGrid", tmp_path / "b.TextGrid"]
    assert words_of(made[:1], tmp_path / "a.TextGrid") == [tmp_path / "a.TextGrid"]
    with pytest.raises(CospeechError, match="several recordings"):
        words_of(made, tmp_path / "a.TextGrid")
    (tmp_path / "b.TextGrid").unlink()
    with pytest.raises(CospeechError, match=r"b\.TextGrid is not in it"):
        words_of(made, tmp_path)


def test_a_list_of_beat2_means_its_tests_with_their_words(tmp_path):
    for folder, suffix, names in (("wave16k", "wav", "abc"), ("textgrid", "TextGrid", "a")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"2_scott_{name}.{suffix}").touch()
    (tmp_path / "test.csv").write_text("id,type\n2_scott_a,test\n2_scott_b,train\n2_scott_c,test\n")
    made = jobs(tmp_path / "test.csv", tmp_path / "out", ".npz")
    grid = tmp_path / "textgrid" / "2_scott_a.TextGrid"
    assert made == [
        Job(tmp_path / "wave16k" / "2_scott_a.wav", tmp_path / "out" / "2_scott_a.npz", grid),
        Job(tmp_path / "wave16k" / "2_scott_c.wav", tmp_path / "out" / "2_scott_c.npz", None),
    ]
    assert words_of(made, None) == [grid, ()]
    (tmp_path / "test.csv").write_text("id,type\n2_scott_x,test\n")
    with pytest.raises(CospeechError, match=r"'2_scott_x'.*2_scott_x\.wav"):
        jobs(tmp_path / "test.csv", tmp_path / "out", ".npz")
    (tmp_path / "test.csv").write_text("id,type\n2_scott_a,train\n")
    with pytest.raises(CospeechError, match="no recording of type test"):
        jobs(tmp_path / "test.csv", tmp_path / "out", ".npz")


def test_transcripts_are_found_by_name(tmp_path):
    for name in ("a.wav", "b.wav", "a.txt", "b.lab", "B.wav.txt"):
        (tmp_path / name).touch()
    made = [Job(tmp_path / f"{name}.wav", tmp_path / f"{name}.TextGrid") for name in "abc"]
    beside = [tmp_path / "a.txt", tmp_path / "b.lab"]
    assert transcripts_of(made, None) == [*beside, None]
    assert transcripts_of(made[:2], tmp_path) == beside
    assert transcripts_of(made[:1], tmp_path / "other.txt") == [tmp_path / "other.txt"]
    with pytest.raises(CospeechError, match="give the folder that holds a transcript for each"):
        transcripts_of(made, tmp_path / "a.txt")
    with pytest.raises(CospeechError, match=r"c\.txt \(or \.lab\) is not in it \(1 of 3 are not\)"):
        transcripts_of(made, tmp_path)
