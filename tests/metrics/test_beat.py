import numpy as np
import published_metrics as published
import pytest

from cospeech import skeleton
from cospeech.metrics import beat
from cospeech.metrics.diversity import deviations, l1_diversity

SPEEDS = np.ones(55)


@pytest.fixture(scope="module")
def arrays():
    return published.arrays()


@pytest.fixture(scope="module")
def joints(arrays):
    return published.joints(arrays["pose_A"], arrays["rest_joints"])


def pausing(num_frames, pauses):
    """(T, 55, 3) joints that run along x and stop for an instant in some frames."""
    speed = np.ones(num_frames)
    for pause in pauses:
        speed[pause - 2 : pause + 4] = [0.9, 0.8, 0.6, 0.6, 0.8, 0.9]
    positions = np.zeros((num_frames, 55, 3))
    positions[..., 0] = (np.cumsum(speed) / beat.FPS)[:, None]
    return positions


def test_published_values(arrays, joints):
    wanted = published.VALUES["synthetic"]
    assert l1_diversity(joints).value == pytest.approx(wanted["l1div_A"], rel=1e-6)
    beats = beat.motion_beats(joints, arrays["mean_vel"], "published")
    assert [len(each) for each in beats] == wanted["n_motion_beats"] == arrays["beats_len"].tolist()
    assert np.array_equal(np.concatenate(beats), arrays["beats_flat"])
    assert beat.alignment(beats, arrays["onset_times"]) == pytest.approx(wanted["bc_clean_A"], rel=1e-6)
    found = beat.beat_consistency(joints, arrays["onset_times"], arrays["mean_vel"], "published")
    assert found.value == pytest.approx(wanted["bc_after_inplace_l1div_A"], rel=1e-6)
    assert found.of == len(joints) - 120


def test_only_the_published_protocol_hears_of_deviations_and_of_the_frame_before(arrays, joints):
    """Each mistake alone changes the value; without both it is the corrected one."""
    speeds, onsets = arrays["mean_vel"], arrays["onset_times"]
    clean = beat.motion_beats(joints, speeds)
    found = {
        "corrected": beat.beat_consistency(joints, onsets, speeds).value,
        "clean": beat.alignment(clean, onsets),
        "deviations": beat.alignment(beat.motion_beats(deviations(joints), speeds), onsets),
        "offset": beat.alignment(beat.motion_beats(joints, speeds, "published"), onsets),
    }
    assert found["corrected"] == found["clean"]
    assert len({round(value, 6) for value in found.values()}) == 3


def test_a_pause_on_every_onset_is_perfect_and_none_is_nothing():
    positions = pausing(300, [90, 150, 210])
    beats = beat.motion_beats(positions, SPEEDS)
    assert [each.tolist() for each in beats] == [[30, 90, 150]] * 55
    assert beat.beat_consistency(positions, np.array([1.0, 3.0, 5.0]), SPEEDS).value == pytest.approx(1)
    late = beat.beat_consistency(positions, np.array([1.3, 3.3, 5.3]), SPEEDS).value
    assert late == pytest.approx(np.exp(-0.5))
    assert beat.beat_consistency(np.zeros((300, 55, 3)), np.array([1.0]), SPEEDS).value == 0


def test_who_rests_does_not_pause_and_whoever_asks_two_seconds_late_does_not_see_it():
    positions = pausing(300, [90, 150])
    assert len(beat.motion_beats(positions, 3 * SPEEDS)[0]) == 0  # 0.6 m/s is below 0.3 of 3 m/s
    still_first = np.concatenate([np.repeat(positions[:1], 60, axis=0), positions])
    assert beat.motion_beats(still_first, SPEEDS)[0].tolist() == [90, 150]
    assert beat.motion_beats(still_first, SPEEDS, "published")[0].tolist() == [90, 150]
    later = np.concatenate([np.repeat(positions[:1], 100, axis=0), positions])
    assert beat.motion_beats(later, SPEEDS)[0].tolist() == [130, 190]
    soon = np.concatenate([np.repeat(positions[:1], 150, axis=0), positions[80:]])  # pauses in frames 160 and 220
    assert beat.motion_beats(soon, SPEEDS)[0].tolist() == [100, 160]
    assert beat.motion_beats(soon, SPEEDS, "published")[0].tolist() == [160]  # in frame 100 it rested


@pytest.mark.parametrize("num_frames", [0, 1, 60, 120])
def test_short_clips_and_silence_have_no_value(num_frames):
    positions = pausing(200, [90])[:num_frames]
    assert np.isnan(beat.beat_consistency(positions, np.array([1.0]), SPEEDS).value)
    assert [len(each) for each in beat.motion_beats(positions, SPEEDS)] == [0] * 55
    assert np.isnan(beat.beat_consistency(pausing(200, [90]), np.zeros(0), SPEEDS).value)
    silence = np.zeros(round(num_frames / 30 * 16_000), np.float32)
    for protocol in ("published", "corrected"):
        assert len(beat.onset_times(silence, 16_000, num_frames, protocol)) == 0


def clicks(times_s, duration_s, rate=16_000):
    samples = np.zeros(round(duration_s * rate), np.float32)
    for time_s in times_s:
        at = round(time_s * rate)
        samples[at : at + 400] = np.sin(np.arange(400) / 3) * np.linspace(1, 0, 400)
    return samples


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_onsets_count_from_the_first_frame_that_is_not_left_out(rate):
    samples = clicks([1.0, 3.0, 4.5, 7.0], 8.0, rate)
    for protocol in ("published", "corrected"):
        found = beat.onset_times(samples, rate, 240, protocol)
        kept = [found[np.abs(found - wanted).argmin()] for wanted in (1.0, 2.5)]
        np.testing.assert_allclose(kept, [1.0, 2.5], atol=0.04)
        assert found.max() < 4.0
    # of a longer recording the published piece goes up to the end of the motion
    longer = clicks([1.0, 3.0, 4.5, 7.0], 12.0, rate)
    assert beat.onset_times(longer, rate, 240, "published").max() > 4.9
    assert beat.onset_times(longer, rate, 240).max() < 4.0


def test_beats_by_a_plain_reference(rng):
    """scipy's search for minima and the published condition, joint by joint."""
    signal = pytest.importorskip("scipy.signal")
    positions = np.cumsum(rng.normal(size=(400, 55, 3)), axis=0) / 100
    speeds = beat.mean_joint_speeds([positions])
    for protocol, asked in (("published", 0), ("corrected", beat.LEFT_OUT)):
        found = beat.motion_beats(positions, speeds, protocol)
        for joint in range(55):
            velocity = np.gradient(positions[:, joint], 1 / 30, axis=0)
            speed = np.linalg.norm(velocity, axis=1) / speeds[joint]
            minima = signal.argrelextrema(speed[60:-60], np.less, order=7)[0]
            assert found[joint].tolist() == [i for i in minima if speed[i + asked] > 0.3]


def test_mean_speeds_are_over_all_frames_of_all_clips():
    still, running = np.zeros((10, 55, 3)), pausing(30, [])
    np.testing.assert_allclose(beat.mean_joint_speeds([still, running]), 0.75)
    np.testing.assert_allclose(beat.mean_joint_speeds([]), 0)


def test_inputs_stay_as_they_are(arrays, joints):
    before = joints.copy()
    joints.flags.writeable = False
    l1_diversity(joints)
    beat.beat_consistency(joints, arrays["onset_times"], arrays["mean_vel"], "published")
    assert np.array_equal(joints, before)
    assert skeleton.UPPER == (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)  # the published choice
