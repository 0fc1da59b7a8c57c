"""Which frames make a clip: by eye, by the published code, and what random draws can reach."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pipeline.clips import sampling
from pipeline.clips.sampling import SamplerConfig
from pipeline.core import params
from pipeline.core.errors import UserError
from tests.support.golden import keys

# X-Temporal's indices count from 1. Left out, since our rule is another:
# - segments, 2 clips and more: there all but the first are random (and crash for fewer frames than segments)
# - segments in training, fewer frames than segments: there all are the first frame
# - dense in training with several starts: there the last start is never drawn
# - dense, one clip in the test path: there it begins at frame 0, and only the val path takes the middle
CASES = keys.read("sampling_xt_visible")["cases"]
# The repository of TSM, from 1 as well. Left out, since our rule is another:
# - segments, validation, no more frames than segments: there all are the first frame (its test path is as ours)
# - segments, two clips: there the second lies at the beginning of each part
# - dense: there the window is 64 frames whatever T, so only a T that divides 64 has the same; training and validation
#   never draw the last start, and validation draws at random
TSM_CASES = keys.read("sampling_tsm")["cases"]


def segments(frames: int) -> SamplerConfig:
    return SamplerConfig("segments", frames)


def dense(frames: int, stride: int) -> SamplerConfig:
    return SamplerConfig("dense", frames, stride)


def config_of(case: dict[str, Any]) -> SamplerConfig:
    return dense(case["segments"], case["rate"]) if case["dense"] else segments(case["segments"])


def draws(config: SamplerConfig, frames: int, times: int = 300) -> np.ndarray:
    """Training clips of many seeds: (times, T)."""
    return np.stack([sampling.training_clip(config, frames, np.random.default_rng(seed)) for seed in range(times)])


def test_one_clip_of_segments_is_the_centre_of_every_part():
    assert sampling.testing_clips(segments(3), frames=9, clips=1).tolist() == [[1, 4, 7]]
    assert sampling.testing_clips(segments(2), frames=8, clips=1).tolist() == [[2, 6]]


def test_more_clips_of_segments_lie_evenly_in_every_part():
    assert sampling.testing_clips(segments(2), frames=12, clips=3).tolist() == [[1, 7], [3, 9], [5, 11]]


def test_places_in_a_part_are_exact():
    assert sampling.testing_clips(segments(1), frames=90, clips=5).tolist() == [[9], [27], [45], [63], [81]]


@pytest.mark.parametrize("parts", [1, 2, 5, 8, 32])
@pytest.mark.parametrize("clips", [1, 2, 5, 10])
def test_segments_are_the_frames_at_exact_fractions_of_the_video(parts: int, clips: int):
    for frames in range(1, 100):
        length = Fraction(frames, parts)  # of a part; a clip takes the middle of its share of each
        expected = [
            [math.floor(length * (part + (clip + Fraction(1, 2)) / clips)) for part in range(parts)]
            for clip in range(clips)
        ]
        assert sampling.testing_clips(segments(parts), frames, clips).tolist() == expected


def test_one_dense_clip_lies_in_the_middle():
    assert sampling.testing_clips(dense(3, 2), frames=10, clips=1).tolist() == [[2, 4, 6]]  # starts 0..4


def test_dense_clips_reach_from_the_first_to_the_last_start():
    assert sampling.testing_clips(dense(2, 3), frames=10, clips=3).tolist() == [[0, 3], [2, 5], [4, 7]]


def test_a_video_shorter_than_a_dense_clip_begins_again():
    assert sampling.testing_clips(dense(4, 2), frames=5, clips=2).tolist() == [[0, 2, 4, 1]] * 2
    assert draws(dense(4, 2), frames=5, times=3).tolist() == [[0, 2, 4, 1]] * 3


def test_a_video_shorter_than_the_segments_repeats_frames_evenly():
    assert sampling.testing_clips(segments(6), frames=3, clips=1).tolist() == [[0, 0, 1, 1, 2, 2]]
    assert draws(segments(6), frames=3, times=3).tolist() == [[0, 0, 1, 1, 2, 2]] * 3


def test_a_video_of_one_frame_gives_that_frame():
    for config in (segments(4), dense(4, 2)):
        assert sampling.testing_clips(config, frames=1, clips=2).tolist() == [[0] * 4] * 2
        assert draws(config, frames=1, times=2).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("case", [case for case in CASES if not case["dense"] and case["clips"] == 1])
def test_the_centre_of_segments_is_the_published_codes(case: dict[str, Any]):
    ours = sampling.testing_clips(config_of(case), case["frames"], clips=1)

    assert (ours.ravel() + 1).tolist() == case["val"] == case["test"]


@pytest.mark.parametrize("case", [case for case in TSM_CASES if not case["dense"]])
def test_the_centre_of_segments_is_that_of_tsms_repository(case: dict[str, Any]):
    ours = (sampling.testing_clips(segments(case["segments"]), case["frames"], clips=1).ravel() + 1).tolist()

    assert ours == case["test"]
    if case["frames"] > case["segments"]:
        assert ours == case["val"]
    if case["frames"] >= case["segments"]:
        drawn = sampling.training_clip(segments(case["segments"]), case["frames"], NumbersOfTheGoldenFile())  # type: ignore[arg-type]
        assert (drawn + 1).tolist() == case["train"]


@pytest.mark.parametrize("case", [case for case in TSM_CASES if case["dense"] and 64 % case["segments"] == 0])
def test_ten_dense_clips_are_those_of_tsms_repository(case: dict[str, Any]):
    config = dense(case["segments"], 64 // case["segments"])

    assert (sampling.testing_clips(config, case["frames"], clips=10).ravel() + 1).tolist() == case["test"]


@pytest.mark.parametrize("case", [case for case in CASES if case["dense"] and case["clips"] == 1])
def test_the_middle_dense_clip_is_the_published_codes(case: dict[str, Any]):
    assert (sampling.testing_clips(config_of(case), case["frames"], clips=1).ravel() + 1).tolist() == case["val"]


@pytest.mark.parametrize("clips", [2, 5, 10])
def test_dense_clips_are_the_published_codes(clips: int):
    cases = [case for case in CASES if case["dense"] and case["clips"] == clips]

    assert len(cases) == 54
    for case in cases:
        assert (sampling.testing_clips(config_of(case), case["frames"], clips).ravel() + 1).tolist() == case["test"]


class NumbersOfTheGoldenFile:
    """NumPy's former generator, seeded as it was for the published code, behind the words that we use."""

    def __init__(self) -> None:
        self.state = np.random.RandomState(7)

    def integers(self, high: int, size: int | None = None) -> Any:
        return self.state.randint(high, size=size)


def trained_cases() -> Iterator[dict[str, Any]]:
    for case in CASES:
        starts = 1 + case["frames"] - case["segments"] * case["rate"]
        if "train" in case and (starts <= 1 if case["dense"] else case["frames"] >= case["segments"]):
            yield case


@pytest.mark.parametrize("case", list(trained_cases()))
def test_a_training_clip_is_the_published_codes_for_the_same_random_numbers(case: dict[str, Any]):
    ours = sampling.training_clip(config_of(case), case["frames"], NumbersOfTheGoldenFile())  # type: ignore[arg-type]

    assert (ours + 1).tolist() == case["train"]


def test_training_draws_every_frame_of_every_part_but_the_rest():
    drawn = draws(segments(3), frames=14)  # three parts of four frames, and two left over

    assert [sorted(set(column)) for column in drawn.T.tolist()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_parts_are_drawn_independently():
    offsets = draws(segments(3), frames=12) % 4

    assert len({tuple(row) for row in offsets.tolist()}) > 50  # of 64


def test_every_dense_start_can_be_drawn_the_last_included():
    drawn = draws(dense(4, 3), frames=16)

    assert sorted(set(drawn[:, 0].tolist())) == [0, 1, 2, 3, 4]  # 4 + 12 frames are 16
    assert (np.diff(drawn, axis=1) == 3).all()
    assert drawn.max() < 16


@pytest.mark.parametrize("config", [segments(4), dense(4, 3)])
def test_a_clip_follows_from_the_generator_alone(config: SamplerConfig):
    first, again = draws(config, frames=50), draws(config, frames=50)

    assert np.array_equal(first, again)
    assert len({tuple(row) for row in first.tolist()}) > 30


@pytest.mark.parametrize("config", [segments(8), dense(8, 4)])
def test_a_clip_holds_frames_that_the_video_has(config: SamplerConfig):
    for frames in range(1, 70):
        rng = np.random.default_rng(frames)
        clips = np.concatenate(
            [sampling.testing_clips(config, frames, 3), sampling.training_clip(config, frames, rng)[None]]
        )
        assert clips.shape == (4, 8)
        assert 0 <= clips.min() <= clips.max() < frames


def followed(frames: int, consecutive: int = 6) -> SamplerConfig:
    return SamplerConfig("segments", frames, consecutive=consecutive)


def test_consecutive_frames_follow_each_place():
    assert sampling.testing_clips(followed(2, 3), frames=10, clips=1).tolist() == [[2, 3, 4, 6, 7, 8]]  # firsts 0..7
    assert sampling.testing_clips(followed(1, 3), frames=8, clips=3).tolist() == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]


@pytest.mark.parametrize("frames", range(9, 40))
def test_consecutive_frames_are_those_of_tsns_repository(frames: int):
    """Its `_get_val_indices` and `_sample_indices`, with 3 segments and a new_length of 6: 9 frames at least."""
    tick, part = (frames - 6 + 1) / 3, (frames - 6 + 1) // 3
    numbers = np.random.RandomState(7).randint(part, size=3)

    tested = sampling.testing_clips(followed(3), frames, clips=1).ravel().tolist()
    drawn = sampling.training_clip(followed(3), frames, NumbersOfTheGoldenFile()).tolist()  # type: ignore[arg-type] # as above

    assert tested == [int(tick / 2 + tick * place) + step for place in range(3) for step in range(6)]
    assert drawn == [part * place + numbers[place] + step for place in range(3) for step in range(6)]


def test_a_video_shorter_than_the_consecutive_frames_stays_at_its_last():
    assert sampling.testing_clips(followed(2, 4), frames=3, clips=2).tolist() == [[0, 1, 2, 2, 0, 1, 2, 2]] * 2
    assert draws(followed(2, 4), frames=5, times=3).tolist() == [[0, 1, 2, 3, 1, 2, 3, 4]] * 3
    assert draws(followed(2, 4), frames=1, times=3).tolist() == [[0] * 8] * 3


def test_training_draws_every_place_that_has_enough_frames_behind_it():
    drawn = draws(followed(2, 3), frames=9).reshape(-1, 2, 3)  # seven firsts: two parts of three, and one left over

    assert [sorted(set(drawn[:, place, 0].tolist())) for place in range(2)] == [[0, 1, 2], [3, 4, 5]]
    assert (np.diff(drawn, axis=2) == 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "segments", "frames": 0},
        {"kind": "segments", "frames": 8, "stride": 2},
        {"kind": "dense", "frames": 8},
        {"kind": "dense", "frames": 8, "stride": 0},
        {"kind": "random", "frames": 8},
        {"kind": "segments", "frames": 8, "consecutive": 0},
        {"kind": "dense", "frames": 8, "stride": 1, "consecutive": 6},
    ],
)
def test_settings_that_make_no_clip_are_refused(wrong: dict[str, Any]):
    with pytest.raises(UserError, match="sampler"):
        params.build(SamplerConfig, wrong, where="clip.sampler")
