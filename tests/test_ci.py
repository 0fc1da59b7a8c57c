"""What runs elsewhere on each push and each night."""

from pathlib import Path

import pytest
import yaml

from tests.support.browser import NAMES

WORKFLOW = yaml.safe_load((Path(__file__).parents[1] / ".github/workflows/ci.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("job", ["quick", "nightly"])
def test_no_job_leaves_out_the_tests_in_a_browser(job):
    steps = [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]
    (installed,) = (number for number, step in enumerate(steps) if "chromium" in step)
    assert any(name in steps[installed] for name in NAMES)
    assert installed < min(number for number, step in enumerate(steps) if step.startswith("make "))
    assert "make browser" in steps  # which fails where there is none, as no other target does
