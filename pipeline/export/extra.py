"""The packages of the extra `onnx`: one runs ONNX files, the others write them."""

from typing import Any

from pipeline.core.errors import UserError


def runtime() -> Any:
    """The package `onnxruntime`.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    return onnxruntime


def check_writers() -> None:
    """Look for the packages that PyTorch writes ONNX files with.

    Raises:
        UserError: one is not installed.
    """
    try:
        import onnx  # noqa: F401, PLC0415 - an extra
        import onnxscript  # noqa: F401, PLC0415 - the same
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _missing(error: ModuleNotFoundError) -> UserError:
    return UserError(
        f"ONNX files need a package ({error}). "
        "Install it: `python -m pip install --constraint constraints.txt --editable '.[onnx]'`."
    )
