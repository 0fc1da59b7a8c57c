"""Only data comes out of a pickle, and nothing of it runs."""

import builtins
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.pretrained.safe_pickle import load_arrays
from tests.support.peers import Call

ARRAYS = {
    "table": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "other byte order": np.arange(3, dtype=">i4"),
    "words": np.array(["a", "bcd"]),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 2)),
    "one": np.float64(2.5),
}
PYTHON2 = (  # pickle.dumps({"lr": numpy.array([1.5, 2.5], "f4")}, 2), as Python 2 with NumPy 1 spells it
    b"\x80\x02}q\x00U\x02lrcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01bt"
    b"R(K\x01K\x02\x85cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x08\x00\x00\xc0?\x00\x00 @tbs."
)


def file(folder: Path, content: bytes, name: str = "blobs.pkl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_survive(protocol: int, tmp_path: Path):
    read = load_arrays(file(tmp_path, pickle.dumps(ARRAYS, protocol)))

    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_survive(protocol: int, tmp_path: Path):
    content = {"a": [1, 2.5, None, True], "b": ("x", b"y", {3, 4}), "c": OrderedDict(d=-1), 5: 10**30}

    assert load_arrays(file(tmp_path, pickle.dumps(content, protocol))) == content


def test_arrays_deep_in_containers_survive(tmp_path: Path):
    read = load_arrays(file(tmp_path, pickle.dumps([{"scores": (np.arange(3), {"label": np.int64(2)})}])))

    assert read[0]["scores"][0].tolist() == [0, 1, 2]
    assert read[0]["scores"][1]["label"] == 2


def test_what_python2_wrote_is_read(tmp_path: Path):
    assert load_arrays(file(tmp_path, PYTHON2))["lr"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, builtins.eval, builtins.exec])
def test_a_hostile_pickle_runs_nothing_and_is_refused_by_name(function, protocol: int, tmp_path: Path):
    marker = tmp_path / "marker"
    code = f"touch {marker}" if function is os.system else f"open({str(marker)!r}, 'w')"
    content = {"blobs": {"conv1_w": np.zeros(3), "conv1_b": Call(function, code)}}
    path = file(tmp_path, pickle.dumps(content, protocol))

    with pytest.raises(UserError, match=rf"\w+\.{function.__name__}`.*not loaded.*save the tensors only"):
        load_arrays(path)
    assert not marker.exists()


def test_the_hostile_pickle_would_run_elsewhere(tmp_path: Path):
    marker = tmp_path / "marker"

    pickle.loads(pickle.dumps(Call(os.system, f"touch {marker}")))  # noqa: S301 - it is the proof of the test above

    assert marker.exists()


def test_no_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "trap_for_imports.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(UserError, match=r"trap_for_imports\.anything"):
        load_arrays(file(tmp_path, b"ctrap_for_imports\nanything\n."))
    assert not (tmp_path / "marker").exists()


def test_the_types_of_arrays_cannot_be_forged(tmp_path: Path):
    """NumPy's own __setstate__ would make bytes into pointers to objects."""

    class Forged:
        def __reduce__(self) -> tuple[object, ...]:
            return np.dtype, ("f8", False, True), (3, "<", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 8, 63)

    class Array:
        def __reduce__(self) -> tuple[object, ...]:
            rebuild = np.zeros(1).__reduce__()[0]
            return rebuild, (np.ndarray, (0,), b"b"), (1, (1,), Forged(), False, b"\x01" * 8)

    with pytest.raises(UserError, match=r"numpy\.dtype\('O"):
        load_arrays(file(tmp_path, pickle.dumps(Array(), 2)))


@pytest.mark.parametrize("array", [np.array([{}], dtype=object), np.zeros(1, [("a", "f4")])])
def test_arrays_of_anything_but_numbers_and_text_are_refused(array: np.ndarray, tmp_path: Path):
    with pytest.raises(UserError, match=r"numpy\.dtype"):
        load_arrays(file(tmp_path, pickle.dumps(array, 2)))


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"hello", pickle.dumps(ARRAYS)[:-40], b"\x80\x04N", b"]q\x00h\x00a."]
)
def test_a_damaged_pickle_says_so(content: bytes, tmp_path: Path):
    with pytest.raises(UserError, match=r"blobs\.pkl is no pickle, or a damaged one"):
        load_arrays(file(tmp_path, content))


def test_a_bomb_of_memory_is_an_error(tmp_path: Path):
    array = np.arange(3, dtype=np.float32)
    forged = pickle.dumps(array, 2).replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85", 1)  # a shape of two billions

    with pytest.raises(UserError, match="damaged"):
        load_arrays(file(tmp_path, forged))


@pytest.mark.parametrize("name", ["missing.pkl", "."])
def test_what_is_no_file_says_so(name: str, tmp_path: Path):
    with pytest.raises(UserError, match="cannot be read"):
        load_arrays(tmp_path / name)
