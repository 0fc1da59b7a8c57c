"""Bars in a file: whole lines now and then, nothing of short loops, no control characters."""

import io
import sys

from pipeline.core.progress_bar import progress_bar


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_a_line_for_each_state_and_no_control_character(monkeypatch):
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    for _ in progress_bar(range(3), desc="pack", unit="video", mininterval=0, delay=0, miniters=1):
        pass
    states = [line.split(",")[0] for line in log.getvalue().splitlines()]
    assert states == [f"pack: {n} of 3 videos ({share}%)" for n, share in ((0, 0), (1, 33), (2, 67), (3, 100))]
    assert log.getvalue().replace("\n", "").isprintable()


def test_a_file_gets_nothing_of_a_short_loop(monkeypatch):
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    for leave in (True, False):
        for _ in progress_bar(range(1000), desc="pack", leave=leave):
            pass
    assert log.getvalue() == ""


def test_a_bar_that_is_not_to_stay_leaves_no_line_of_blanks(monkeypatch):
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    with progress_bar(total=2, desc="epoch 1/20", unit="step", leave=False, mininterval=0, delay=0, miniters=1) as bar:
        bar.update(2)
    assert all(line.strip() for line in log.getvalue().splitlines())
    assert "epoch 1/20: 2 of 2 steps (100%)" in log.getvalue()


def test_a_terminal_gets_a_bar_that_is_drawn_in_place(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for _ in progress_bar(range(2), desc="pack"):
        pass
    assert "\rpack: 100%|" in screen.getvalue()


def test_no_thread_of_tqdm_writes_between_the_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(total=1) as bar:
        assert bar.monitor_interval == 0
