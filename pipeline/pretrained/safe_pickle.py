"""Safe reading of pickles: only plain values and NumPy arrays are admitted.

A pickle is a program: it names functions, calls them and sets the state of what they return. Here the only names that
it may use are those in which NumPy spells an array, and each stands for a few lines below. NumPy's own functions of
these names are not safe with a hostile state: it can turn an array's bytes into pointers. Any other name stops the
reading before it is looked up, so that not even its module is imported.
"""

import mmap
import pickle
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from pipeline.core.errors import UserError

KINDS = "biufcSU"
"""Kinds of arrays that are admitted: booleans, numbers and text, whose bytes mean no more than themselves."""
RESAVE = (
    "If you trust it, open it with the program that wrote it, on a machine where you can afford that, and save the "
    "tensors only: `torch.save({name: value.detach() for name, value in state_dict.items()}, 'weights.pth')`."
)
SIZES = ("PUT", "BINPUT", "LONG_BINPUT", "FRAME")
"""Codes of a pickle whose argument is the length of what is kept in memory."""
DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, RuntimeError),
    *(OverflowError, MemoryError, AssertionError, struct.error),
)
"""Errors that readers of pickles raise about a file that is cut short or is not a pickle."""


class Refused(pickle.UnpicklingError):
    """Error: the pickle asks for a name that is not admitted."""


def load_arrays(path: Path, also: Mapping[str, Any] | None = None) -> Any:
    """Load the pickle at `path`: numbers, text, lists, tuples, sets, dicts and NumPy arrays of these.

    Text that Python 2 wrote, as in the files of Caffe2, is read as latin-1. Arrays may be read-only.

    Args:
        path: the pickle.
        also: further admitted globals by dotted name, and what the pickle gets for them.

    Raises:
        UserError: the pickle asks for anything else (nothing of it has run), it is damaged, or it is none.
    """
    try:
        with path.open("rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                weigh(content)
            reader = _Unpickler(file, encoding="latin1")
            reader.admitted = ADMITTED | dict(also or {})
            return plain(reader.load())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except Refused as error:
        raise refusal(path, str(error)) from error
    except DAMAGE as error:
        raise UserError(f"{path} is no pickle, or a damaged one ({error}). Fetch it again.") from error


def refusal(path: Path, name: str) -> UserError:
    """Error to raise about a file that asks for the global `name`."""
    return UserError(
        f"{path} holds more than data: it asks for `{name}`, which could run anything, so it was not loaded. {RESAVE}"
    )


def plain(value: Any, done: dict[int, Any] | None = None) -> Any:
    """Replace what stood for arrays while the file was read by the arrays, in a value of dicts, lists and tuples.

    What stands in several places is made once: nested lists of one another would otherwise never end.
    """
    done = {} if done is None else done
    if isinstance(value, (dict, list, tuple)) and not isinstance(value, Inert):
        if id(value) not in done:
            done[id(value)] = _plain(value, done)
        return done[id(value)]
    return value.made if isinstance(value, ArrayState) else value


def _plain(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, dict):
        return {key: plain(entry, done) for key, entry in value.items()}
    return type(value)([plain(entry, done) for entry in value])


def weigh(content: bytes | mmap.mmap) -> None:
    """Refuse a pickle that asks for more memory than its size can need: a number in it may be a table's length.

    Raises:
        pickle.UnpicklingError: it does.
    """
    size = len(content)
    for code, argument, _ in pickletools.genops(cast(Any, content)):
        if code.name in SIZES and int(argument or 0) > size:
            raise pickle.UnpicklingError(f"{code.name} {argument} in {size} bytes")


class DtypeState:
    """Stand-in for `numpy.dtype` while a pickle is read."""

    def __init__(self, code: str, *_: Any) -> None:
        self.made = np.dtype(code)
        if self.made.kind not in KINDS:
            raise Refused(f"numpy.dtype({code!r})")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order and nothing else."""
        self.made = self.made.newbyteorder(state[1])


class ArrayState:
    """Stand-in for `numpy.ndarray` while a pickle is read; `plain` puts the array in its place."""

    def __init__(self, *_: Any) -> None:
        self.made = np.empty(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], DtypeState, bool, bytes]) -> None:
        """Make the array from its shape, type, memory order and bytes."""
        _, shape, dtype, fortran, data = state
        self.made = _from_bytes(data, dtype, shape, "F" if fortran else "C")


class Maker:
    """Function that a pickle may call and cannot alter."""

    __slots__ = ("__function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__function = function

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.__function(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Refuse any state."""
        raise Refused("the state of a function")


class Inert(dict[Any, Any]):
    """Stand-in for an object of a program that is not asked: it takes all that a pickle does to it, and does nothing.

    It is a dict, as a pickle fills the entries of one before it says what else there is; they are forgotten.
    """

    stands_for = ""
    """The name that the pickle asked for."""
    __hash__ = object.__hash__  # type: ignore[assignment]  # it may be a key, or in a set

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """An object, whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def _forget(self, *_: Any, **__: Any) -> Self:
        return self

    __setstate__ = __call__ = append = extend = add = _forget
    __setitem__ = _forget  # type: ignore[assignment]  # it gives something back, which nobody looks at


def _from_bytes(data: bytes, dtype: DtypeState, shape: tuple[int, ...], order: Any) -> np.ndarray[Any, Any]:
    raw = data.encode("latin1") if isinstance(data, str) else data  # as Python 2 wrote it
    return np.frombuffer(raw, dtype.made).reshape(shape, order=order)


def _scalar(dtype: DtypeState, data: bytes) -> Any:
    return _from_bytes(data, dtype, (), "C")[()]


def _encode(text: str, encoding: str) -> bytes:
    """Bytes that old protocols spell as text in latin-1."""
    if encoding != "latin1":
        raise Refused(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


ADMITTED: dict[str, Any] = {
    "numpy.ndarray": ArrayState,
    "numpy.dtype": DtypeState,
    **{
        f"numpy.{core}.{name}": stand_in  # core is what NumPy 1 called _core
        for core in ("core", "_core")
        for name, stand_in in {
            "multiarray._reconstruct": ArrayState,
            "multiarray.scalar": Maker(_scalar),
            "numeric._frombuffer": Maker(_from_bytes),
        }.items()
    },
    "_codecs.encode": Maker(_encode),
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "__builtin__.bytes": bytes,
}
"""Admitted globals: dotted name -> what a pickle gets for it."""


class _Unpickler(pickle.Unpickler):
    admitted = ADMITTED

    def find_class(self, module: str, name: str) -> Any:
        """Look up the stand-in for a name in the pickle; nothing is imported."""
        try:
            return self.admitted[f"{module}.{name}"]
        except KeyError:
            raise Refused(f"{module}.{name}") from None
