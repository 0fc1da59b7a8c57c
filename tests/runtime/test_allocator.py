"""A process that keeps what it frees, as the kernel counts it."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from pipeline.runtime.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(20):
    b"x" * (64 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize() >> 20)
"""


def megabytes_faulted(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_freed_memory_is_used_again_without_new_pages():
    assert megabytes_faulted("plain") > 20 * 64
    assert megabytes_faulted("keep") < 4 * 64
