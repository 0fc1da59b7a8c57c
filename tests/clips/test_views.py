"""The views of a video at test time, and which of them a protocol averages."""

import json
from typing import Any

import pytest

from pipeline.clips import views
from pipeline.clips.views import Scale, View, ViewConfig, grid
from pipeline.core import params
from pipeline.core.errors import UserError

CENTRE = Scale(side=256, crop=224)


def test_a_grid_is_the_centre_view_and_clips_by_crops_by_scales():
    made = grid(CENTRE, ViewConfig(clips=2, sides=(128, 160), crop=None))

    small, large = Scale(128, 128), Scale(160, 160)
    assert made.views == (
        View(1, 0, CENTRE, "centre"),
        View(2, 0, small, "left"),
        View(2, 0, small, "centre"),
        View(2, 0, small, "right"),
        View(2, 1, small, "left"),
        View(2, 1, small, "centre"),
        View(2, 1, small, "right"),
        View(2, 0, large, "left"),
        View(2, 0, large, "centre"),
        View(2, 0, large, "right"),
        View(2, 1, large, "left"),
        View(2, 1, large, "centre"),
        View(2, 1, large, "right"),
    )
    assert made.protocols == {
        "clip": (0,),
        "dense": (1, 2, 3, 4, 5, 6),
        "multiscale": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    }
    assert len(made) == 13


def test_a_view_that_two_protocols_share_is_there_once():
    made = grid(Scale(128, 128), ViewConfig(clips=1, sides=(128, 160), crop=None))

    assert len(made) == len(set(made.views)) == 6
    assert made.protocols == {"clip": (0,), "dense": (1, 0, 2), "multiscale": (1, 0, 2, 3, 4, 5)}


def test_the_reports_grid_has_ninety_views_and_the_centre():
    made = grid(Scale(128, 112), ViewConfig(clips=10, sides=(128, 144, 160), crop=None))

    assert len(made) == 91
    assert {name: len(positions) for name, positions in made.protocols.items()} == {
        "clip": 1,
        "dense": 30,
        "multiscale": 90,
    }


@pytest.mark.parametrize("clips", [1, 2, 10])
@pytest.mark.parametrize("sides", [(64,), (64, 72), (72, 64, 80)])
@pytest.mark.parametrize("crop", [None, 64])
def test_no_view_is_looked_at_twice_and_none_in_vain(clips: int, sides: tuple[int, ...], crop: int | None):
    made = grid(Scale(64, 64), ViewConfig(clips, sides, crop))

    assert len(set(made.views)) == len(made.views)
    assert {*made.protocols} == {*views.PROTOCOLS}
    assert {position for chosen in made.protocols.values() for position in chosen} == {*range(len(made))}
    assert len(made.protocols["multiscale"]) == 3 * clips * len(sides)
    for chosen in made.protocols.values():
        assert len(set(chosen)) == len(chosen)
    dense = [made.views[position] for position in made.protocols["dense"]]
    assert {view.scale.side for view in dense} == {sides[0]}
    assert {(view.clip, view.crop) for view in dense} == {(c, p) for c in range(clips) for p in views.CROPS["fixed"]}


def test_a_crop_is_as_large_as_asked_for_or_as_the_short_side():
    whole, cropped = (grid(CENTRE, ViewConfig(1, (128, 160), crop)).views[1:] for crop in (None, 112))

    assert {view.scale.crop for view in whole} == {128, 160}
    assert {view.scale.crop for view in cropped} == {112}


def test_a_grid_is_described_in_values_that_json_holds():
    described = grid(CENTRE, ViewConfig(1, (128,), None)).describe()

    assert json.loads(json.dumps(described)) == described
    assert described["views"][1] == {"clips": 1, "clip": 0, "scale": {"side": 128, "crop": 128}, "crop": "left"}
    assert described["protocols"] == {"clip": [0], "dense": [1, 2, 3], "multiscale": [1, 2, 3]}


def test_random_crops_have_names_and_a_seed_of_their_own():
    made = grid(CENTRE, ViewConfig(2, (128,), 112, crops="random", seed=7))

    assert [view.crop for view in made.views] == ["centre"] + ["random 1", "random 2", "random 3"] * 2
    assert made.describe()["seed"] == 7
    assert "seed" not in grid(CENTRE, ViewConfig(2, (128,), 112, seed=7)).describe()


@pytest.mark.parametrize(
    "wrong",
    [
        {"clips": 0, "sides": [128], "crop": None},
        {"clips": 1, "sides": [128, 100], "crop": 112},
        {"clips": 1, "sides": [0], "crop": None},
        {"clips": 1, "sides": [128], "crop": None, "crops": "five"},
    ],
)
def test_settings_that_make_no_view_are_refused(wrong: dict[str, Any]):
    with pytest.raises(UserError, match=r"^models\.tsm\.test(: |\.crops: must be one of 'fixed', 'random')"):
        params.build(ViewConfig, wrong, where="models.tsm.test")


def test_frames_have_a_scale():
    with pytest.raises(UserError, match="sides must name at least one scale"):
        grid(CENTRE, ViewConfig(clips=1, sides=(), crop=None))
