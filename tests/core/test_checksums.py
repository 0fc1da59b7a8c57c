"""SHA256SUMS beside the files: `sha256sum` reads the list, and a reader refuses what has changed."""

import subprocess
from pathlib import Path

import pytest

from pipeline.core import checksums
from pipeline.core.errors import UserError
from tests.support import damage


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    (tmp_path / "grün 2.txt").write_text("two", encoding="utf-8")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c").touch()
    checksums.seal(tmp_path)
    return tmp_path


def sha256sum(listed: Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--strict", listed.name]
    return subprocess.run(command, cwd=listed.parent, capture_output=True, text=True)


def test_sha256sum_checks_the_list(sealed: Path):
    done = sha256sum(sealed / "SHA256SUMS")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["a.bin: OK", "grün 2.txt: OK"])
    damage.flip(sealed / "a.bin", 7)
    assert "a.bin: FAILED" in sha256sum(sealed / "SHA256SUMS").stdout


def test_a_list_of_sha256sum_is_read(sealed: Path):
    written = subprocess.run(["sha256sum", "-b", "a.bin"], cwd=sealed, capture_output=True, text=True).stdout
    (sealed / "SHA256SUMS").write_text(written)
    checksums.check(sealed / "a.bin")
    damage.flip(sealed / "a.bin", 7)
    with pytest.raises(UserError, match=r"a\.bin is damaged.*pipeline doctor --deep"):
        checksums.check(sealed / "a.bin")


@pytest.mark.parametrize("offset", [0, 100, 255])
@pytest.mark.parametrize("bit", [0, 7])
def test_any_flipped_bit_is_noticed(sealed: Path, offset: int, bit: int):
    checksums.check(sealed / "a.bin")
    damage.flip(sealed / "a.bin", offset, bit)
    with pytest.raises(UserError, match=r"a\.bin is damaged.*pipeline doctor --deep"):
        checksums.check(sealed / "a.bin")


def test_a_known_hash_is_not_computed_again(sealed: Path):
    damage.flip(sealed / "a.bin", 0)
    listed = checksums.read(sealed / "SHA256SUMS")["a.bin"]
    checksums.check(sealed / "a.bin", listed)
    with pytest.raises(UserError, match="is damaged"):
        checksums.check(sealed / "a.bin", "0" * 64)


def test_what_no_list_names_and_what_is_missing_pass(sealed: Path):
    checksums.check(sealed / "below" / "c")
    (sealed / "new").touch()
    checksums.check(sealed / "new")
    (sealed / "a.bin").unlink()
    checksums.check(sealed / "a.bin")


def test_each_stage_has_its_list_in_a_folder_of_several(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        checksums.write(tmp_path / f"{name}.SHA256SUMS", [tmp_path / name])
    checksums.check(tmp_path / "one")
    damage.flip(tmp_path / "two", 0)
    checksums.check(tmp_path / "one")
    with pytest.raises(UserError, match=r"two is damaged.*two\.SHA256SUMS"):
        checksums.check(tmp_path / "two")


@pytest.mark.parametrize("content", [b"no list\n", b"\xff\xfe\n", b"0" * 64 + b"  a.bin", b"0" * 63 + b"  a.bin\n"])
def test_a_damaged_list_is_named(sealed: Path, content: bytes):
    (sealed / "SHA256SUMS").write_bytes(content)
    with pytest.raises(UserError, match=r"SHA256SUMS is damaged.*pipeline doctor --deep"):
        checksums.check(sealed / "a.bin")
