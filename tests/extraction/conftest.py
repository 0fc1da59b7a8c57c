"""Which tests of the extraction can run at all."""

import os

import pytest

collect_ignore = [] if "FOREIGN_MEDIA" in os.environ else ["test_foreign_files.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say that a nightly run left the foreign files out, since they are in nobody's clone."""
    if collect_ignore and config.option.markexpr == "nightly":
        terminalreporter.write_line(f"NOT RUN: {collect_ignore[0]}, since FOREIGN_MEDIA is not set (CONTRIBUTING.md).")
