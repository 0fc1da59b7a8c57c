"""A network -> one file, ONNX or a program of PyTorch, whose answers are compared with the network's.

An axis that has a name has any length.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.export import extra

OPSET = 20
TOLERANCE = 1e-4
"""Largest difference between a logit of the file and that of the network, where none is above 1. Float32 has 7 digits,
of which a deep network loses two: large logits differ in proportion."""
ONE_FILE = 2**31
"""Bytes of weights from which they lie in a second file: an ONNX file, being a protocol buffer, holds no 2 GiB."""
_GRAPH = 2**24
"""Bytes of it that are left for the graph itself."""
Inputs = tuple[Tensor, ...]
Axes = Mapping[int, str]
"""Axis of an input that has any length -> its name."""


def write_onnx(
    network: nn.Module, inputs: Inputs, names: Sequence[str], output: str, shapes: Sequence[Any],
    metadata: Mapping[str, str], path: Path,
) -> None:  # fmt: skip
    """Write an ONNX file; where the weights take 2 GiB or more, they lie in `<path>.data`.

    Args:
        inputs: examples, of 2 or more along each axis that has any length.
        names: of the inputs.
        output: name of the output.
        shapes: the Axes of each argument of `forward`; of `*arguments`, a tuple of theirs.
    """
    extra.check_writers()
    with _quiet():
        program: Any = torch.onnx.export(
            network, inputs, dynamo=True, opset_version=OPSET, input_names=list(names), output_names=[output],
            dynamic_shapes=tuple(shapes), verbose=False,
        )  # fmt: skip
    program.model.metadata_props.update(metadata)
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    program.save(path, external_data=size + _GRAPH >= ONE_FILE)


def write_program(network: nn.Module, clips: Tensor, axes: Axes, metadata: Mapping[str, str], path: Path) -> None:
    """Write the program that torch.export makes (.pt2); its extra file `description.json` has the metadata."""
    shapes = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
    with _quiet(), torch.no_grad():
        program = torch.export.export(network, (clips,), dynamic_shapes=(shapes,))
        text = json.dumps({name: json.loads(value) for name, value in metadata.items()}, indent=2, ensure_ascii=False)
        torch.export.save(program, path, extra_files={"description.json": text})


def session(path: Path, threads: int) -> Any:
    """An onnxruntime session on the CPU.

    Raises:
        UserError: the extra is not installed, or the file is missing or not ONNX.
    """
    onnxruntime = extra.runtime()
    if not path.is_file():
        raise UserError(f"{path} does not exist. `pipeline export MODEL --onnx` makes such a file.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise UserError(f"{path} is no file that onnxruntime {onnxruntime.__version__} reads ({error}).") from error


def answers_of_onnx(path: Path, threads: int) -> Callable[[Inputs], np.ndarray]:
    """A function that an ONNX file computes."""
    opened = session(path, threads)
    names = [node.name for node in opened.get_inputs()]

    def answer(inputs: Inputs) -> np.ndarray:
        found: np.ndarray = opened.run(None, dict(zip(names, (each.numpy() for each in inputs), strict=True)))[0]
        return found

    return answer


def answers_of_program(path: Path) -> Callable[[Inputs], np.ndarray]:
    """A function that a program of PyTorch computes."""
    module = torch.export.load(path).module()

    def answer(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = module(*inputs).numpy()
        return found

    return answer


def compare(answer: Callable[[Inputs], np.ndarray], network: nn.Module, tried: Sequence[Inputs], what: str) -> float:
    """The largest difference between a file's answers and the network's, over the inputs that are `tried`.

    Raises:
        UserError: it is no number, or above `TOLERANCE`: of the largest logit, where that is above 1.
    """
    largest = 0.0
    for inputs in tried:
        with torch.inference_mode():
            wanted = network(*inputs).numpy()
        shape = " and ".join("x".join(map(str, each.shape)) for each in inputs)
        try:
            difference = float(np.abs(answer(inputs) - wanted).max())
        except Exception as error:  # of the runtime: a size that the graph does not take
            raise UserError(f"{what} does not take inputs of {shape}, and is not written ({error}).") from error
        most = TOLERANCE * max(1.0, float(np.abs(wanted).max()))
        if not difference <= most:
            raise UserError(
                f"{what} differs from the network by {difference:.2g} for inputs of {shape}, which is more than "
                f"{most:.2g}: it is not written."
            )
        largest = max(largest, difference)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' words about themselves, such as operators of packages that are not installed."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
