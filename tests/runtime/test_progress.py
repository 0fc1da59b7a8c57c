import time

import pytest

from pipeline.runtime.progress import Timer, duration, rate, whole_epoch


def test_the_time_until_an_item_comes_is_waiting_and_the_time_after_it_is_not():
    def slow():
        for item in "ab":
            time.sleep(0.05)
            yield item

    watch, seen = Timer(), []
    for item in watch.waits(slow()):
        seen.append(item)
        time.sleep(0.05)
    assert seen == ["a", "b"]
    assert watch.waited == pytest.approx(0.1, abs=0.04)
    assert watch.elapsed >= 0.2
    assert 0.2 < watch.waiting < 0.7


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (45.4, "45 s"), (99, "99 s"), (100, "2 min"), (3540, "59 min"), (3600, "1 h 00 min"),
     (11_100, "3 h 05 min"), (190_000, "2 d 4 h")],
)  # fmt: skip
def test_a_duration_is_said_as_people_say_it(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "seconds", "said"),
    [(1200, 10, "120 clips/s"), (25, 10, "2.5 clips/s"), (10, 10, "1.0 clips/s"), (5, 20, "4.0 s/clip"),
     (0, 9, "no clip")],
)  # fmt: skip
def test_a_speed_below_one_is_said_as_seconds_of_each(count, seconds, said):
    assert rate(count, seconds, "clip") == said


def test_a_resumed_epoch_counts_as_a_whole_one():
    assert whole_epoch(110.0, 100.0, 0, 50) == 110.0
    assert whole_epoch(30.0, 20.0, 40, 50) == 110.0  # 10 steps in 20 s: 50 in 100 s, and 10 s of validation
    assert whole_epoch(10.0, 0.0, 50, 50) == 0.0
