import time

import pytest

from pipeline.runtime.progress import Timer, duration


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
