"""Limits, as FFmpeg's words of a file meet them, and as an extraction keeps to them."""

import pytest

from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.probe import Facts, Stream
from pipeline.serve import limits
from pipeline.serve.limits import Limits

EXTRACT = ExtractConfig(fps=30, short_side=40, jpeg_qscale=2, timeout_seconds=60, shards=1, too_long="cut")


def facts(seconds=10.0, size="640x360", rate="25 fps"):
    width, height = map(int, size.split("x"))
    words = f"h264 (High), yuv420p, {size}, 200 kb/s, {rate}, 25 tbr"
    return Facts("mov,mp4", seconds, (Stream(0, "h264", words, width, height, 1.0, True),), ("Video: h264",), False)


@pytest.mark.parametrize(
    ("told", "over"),
    [
        ({}, set()),
        ({"seconds": 10.1}, {"seconds"}),
        ({"rate": "60 fps"}, set()),
        ({"rate": "60.1 fps"}, {"frames"}),
        ({"rate": "1k fps"}, {"frames"}),
        ({"rate": "90k tbn"}, set()),
        ({"size": "641x360"}, {"pixels"}),
        ({"seconds": 0.0, "rate": "1k fps"}, set()),
    ],
)
def test_what_a_file_says_is_compared_with_each_limit(told, over):
    sizes = limits._sizes(facts(**told), Limits(seconds=10, frames=600, pixels=640 * 360), 30, sound=False)
    assert {what.split()[0] for what, found, allowed in sizes if found > allowed} == over


def test_the_frames_that_are_extracted_count_where_the_file_has_fewer():
    sizes = limits._sizes(facts(rate="5 fps"), Limits(), 30, sound=False)
    assert ("frames", 300, 7200) in sizes


@pytest.mark.parametrize(
    ("told", "over"), [({"rate": "1k fps", "size": "9000x9000"}, []), ({"seconds": 11}, ["seconds"])]
)
def test_of_sound_the_length_alone_is_compared(told, over):
    sizes = limits._sizes(facts(**told), Limits(seconds=10, frames=330, pixels=640 * 360), 30, sound=True)
    assert [what for what, found, allowed in sizes if found > allowed] == over


@pytest.mark.parametrize(
    ("most", "frames"), [({"seconds": 9}, 300), ({"frames": 7}, 7), ({"seconds": 1e9, "frames": 10**9}, 54_000)]
)
def test_an_extraction_stops_at_the_limits_whatever_the_settings_say(most, frames):
    found = Limits(**most, pixels=99).within(EXTRACT)
    assert (found.most_frames, found.most_pixels, found.too_long) == (frames, 99, "refuse")


def test_an_extraction_keeps_to_its_own_limits_where_they_are_lower():
    assert Limits(pixels=10**12).within(EXTRACT).most_pixels == EXTRACT.most_pixels
