"""Reads `model.bin`, CTranslate2's file of weights, for what is not CTranslate2."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Numbers as CTranslate2 counts their kinds. numpy has no bfloat16: its 16 bits are the upper half of a float32.
_FLOAT32, _INT8, _INT16, _INT32, _FLOAT16, _BFLOAT16 = range(6)
_KINDS = {_FLOAT32: "<f4", _INT8: "i1", _INT16: "<i2", _INT32: "<i4", _FLOAT16: "<f2", _BFLOAT16: "<u2"}


def read_model_bin(file: Path) -> dict[str, NDArray[Any]]:
    """All variables by name, as floats; those that lie as integers with a scale beside them are scaled back.

    Arrays are views of the file, which is read when they are. Raises RuntimeError for a file that is cut short.
    """
    with file.open("rb") as content:
        view = memoryview(mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        variables, aliases = _parse(view)
        variables.update({alias: variables[name] for alias, name in aliases.items()})
    except (struct.error, ValueError, KeyError) as error:
        raise RuntimeError("model.bin is incomplete or of an unknown version") from error
    scales = {name: variables.pop(name) for name in list(variables) if name.endswith("_scale")}
    for name, scale in scales.items():
        weight = variables[name.removesuffix("_scale")]
        by_row = scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
        variables[name.removesuffix("_scale")] = weight.astype(np.float32) / by_row
    return variables


def _parse(view: memoryview) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    at = 0

    def take(kinds: str) -> tuple[Any, ...]:
        nonlocal at
        found = struct.unpack_from(f"<{kinds}", view, at)
        at += struct.calcsize(f"<{kinds}")
        return found

    def text() -> str:
        nonlocal at
        (length,) = take("H")
        at += length
        return bytes(view[at - length : at]).rstrip(b"\0").decode("ascii")

    take("I")
    text()
    _, count = take("II")
    variables: dict[str, NDArray[Any]] = {}
    for _ in range(count):
        name = text()
        (rank,) = take("B")
        shape = take(f"{rank}I")
        kind, size = take("BI")
        variables[name] = _array(view[at : at + size], kind, shape)
        at += size
    (count,) = take("I")
    aliases = {}
    for _ in range(count):
        alias = text()
        aliases[alias] = text()
    return variables, aliases


def _array(data: memoryview, kind: int, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.frombuffer(data, _KINDS[kind]).reshape(shape)
    return (array.astype(np.uint32) << 16).view(np.float32) if kind == _BFLOAT16 else array
