"""Files of torch.save that hold objects beside the tensors: the tensors are read, and the objects stand still.

Trainers keep their arguments, meters and callbacks in a checkpoint. `torch.load(weights_only=True)` then refuses all of
it. Here each name that is not admitted stands for an `Inert` object, which takes whatever the pickle does to it and
does nothing: no module is imported and no function of the file's choice is called. Tensors are made from the numbers in
the ZIP by a few lines below.
"""

import io
import pickle
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.pretrained import safe_pickle
from pipeline.pretrained.safe_pickle import Inert, Maker, Refused

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
"""Name in the module torch of a kind of storage -> type of its numbers."""
UNTYPED = "torch.storage.UntypedStorage"
"""Kind of the storages of newer types of numbers, such as float8 and uint16, of which the tensor says the type."""


def load(path: Path) -> Any:
    """The content of a ZIP of torch.save, with `Inert` objects for all that is neither data nor tensors.

    Raises:
        pickle.UnpicklingError, or another of `safe_pickle.DAMAGE`: it is damaged, or of a layout that is not known.
    """
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        folder = name.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise pickle.UnpicklingError("its numbers are big-endian")
        content = archive.read(name)
        safe_pickle.weigh(content)
        reader = Unpickler(io.BytesIO(content), encoding="utf-8")
        reader.storage = cache(lambda key, kind: _storage(archive, f"{folder}data/{key}", kind))
        return safe_pickle.plain(reader.load())


class Unpickler(pickle.Unpickler):
    """Reader of a pickle of torch.save; `storage` makes a storage of what the pickle says of it."""

    storage: Any

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name in the pickle; nothing is imported."""
        full = f"{module}.{name}"
        if full in ADMITTED:
            return ADMITTED[full]
        if (module == "torch" and name in DTYPES) or full == UNTYPED:
            return Kind(name)
        return inert(full)

    def persistent_load(self, pid: Any) -> Any:
        """The numbers of a storage, one after another; of another kind, such as quantized ones, an inert object."""
        _, kind, key, *_ = pid
        if isinstance(kind, Kind) and isinstance(key, str):
            return self.storage(key, kind.name)
        return inert(getattr(kind, "stands_for", "a storage of no known kind"))()


class Kind:
    """A kind of storage."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


@cache
def inert(name: str) -> type[Inert]:
    """The class of inert objects that stand for what `name` is, or makes."""
    return type("Inert", (Inert,), {"stands_for": name})


def inert_names(content: Any) -> tuple[str, ...]:
    """What the inert objects among the values of a dict stand for, sorted; or what the content itself does."""
    values = content.values() if isinstance(content, dict) and not isinstance(content, Inert) else (content,)
    return tuple(sorted({value.stands_for for value in values if isinstance(value, Inert)}))


def _storage(archive: zipfile.ZipFile, name: str, kind: str) -> Tensor:
    raw = archive.read(name)
    dtype = DTYPES.get(kind, torch.uint8)
    return torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if not isinstance(storage, Tensor):
        raise Refused(getattr(storage, "stands_for", "a tensor without numbers"))
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _tensor_of_type(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], _: Any, __: Any, dtype: Any, *___: Any
) -> Tensor:
    known = vars(torch).get(dtype.stands_for.removeprefix("torch."))
    if not isinstance(storage, Tensor) or not isinstance(known, torch.dtype):
        raise Refused(dtype.stands_for)
    return _tensor(storage.view(known), offset, size, stride)


def _parameter(data: Any, *_: Any) -> Any:
    return data


ADMITTED: dict[str, Any] = {
    **safe_pickle.ADMITTED,
    "torch._utils._rebuild_tensor_v2": Maker(_tensor),
    "torch._utils._rebuild_tensor_v3": Maker(_tensor_of_type),
    "torch._utils._rebuild_parameter": Maker(_parameter),
    "torch._utils._rebuild_parameter_with_state": Maker(_parameter),
    "torch.Size": Maker(tuple),
    "torch.nn.parameter.Parameter": Maker(_parameter),
}
"""Admitted globals: dotted name -> what a pickle gets for it."""
