"""Reads `model.bin`, CTranslate2's file of weights, without CTranslate2."""

from __future__ import annotations

import mmap
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# CTranslate2's numbers of the data types. NumPy has no bfloat16; its 16 bits are the upper half of a float32.
_FLOAT32, _INT8, _INT16, _INT32, _FLOAT16, _BFLOAT16 = range(6)
_KINDS = {_FLOAT32: "<f4", _INT8: "i1", _INT16: "<i2", _INT32: "<i4", _FLOAT16: "<f2", _BFLOAT16: "<u2"}


_LAYER = re.compile(r"decoder/layer_(\d+)/")


def read_model_bin(file: Path) -> dict[str, NDArray[Any]]:
    """All variables by name. Integer variables with a scale are converted to float32.

    The other arrays are views of the memory-mapped file. Raises RuntimeError for a truncated file.
    """
    with file.open("rb") as content:
        view = memoryview(mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        variables, aliases = _Reader(view).read()
        variables.update({alias: variables[name] for alias, name in aliases.items()})
    except (struct.error, ValueError, KeyError) as error:
        raise RuntimeError("model.bin is incomplete or of an unknown version") from error
    scales = {name: variables.pop(name) for name in list(variables) if name.endswith("_scale")}
    for name, scale in scales.items():
        weight = variables[name.removesuffix("_scale")]
        by_row = scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
        variables[name.removesuffix("_scale")] = weight.astype(np.float32) / by_row
    return variables


def decoder_size(file: Path) -> tuple[int, int]:
    """The decoder's layers and heads, 0 if not stated. Raises RuntimeError for a truncated file."""
    with file.open("rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            return _Reader(view).decoder_size()
        except (struct.error, ValueError) as error:
            raise RuntimeError("model.bin is incomplete or of an unknown version") from error
        finally:
            view.release()


class _Reader:
    """Reads the fields of the file one after another."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def read(self) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """The variables by name, and the aliases of names."""
        # The version of the format, the name and the revision of the architecture.
        self._numbers("I")
        self._text()
        _, count = self._numbers("II")
        variables = dict(self._variable() for _ in range(count))
        (count,) = self._numbers("I")
        return variables, {self._text(): self._text() for _ in range(count)}

    def decoder_size(self) -> tuple[int, int]:
        """See `decoder_size`. No variable is copied or converted."""
        self._numbers("I")
        self._text()
        _, count = self._numbers("II")
        layers = heads = 0
        for _ in range(count):
            name, _, _, size = self._header()
            if name == "decoder/num_heads":
                heads = int.from_bytes(self._view[self._at - size : self._at], "little")
            elif found := _LAYER.match(name):
                layers = max(layers, 1 + int(found[1]))
        return layers, heads

    def _variable(self) -> tuple[str, NDArray[Any]]:
        name, shape, kind, size = self._header()
        return name, _array(self._view[self._at - size : self._at], kind, shape)

    def _header(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, data type and bytes of the next variable; skips its content."""
        name = self._text()
        (rank,) = self._numbers("B")
        shape = self._numbers(f"{rank}I")
        kind, size = self._numbers("BI")
        self._at += size
        return name, shape, kind, size

    def _numbers(self, kinds: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{kinds}", self._view, self._at)
        self._at += struct.calcsize(f"<{kinds}")
        return found

    def _text(self) -> str:
        (length,) = self._numbers("H")
        self._at += length
        return bytes(self._view[self._at - length : self._at]).rstrip(b"\0").decode("ascii")


def _array(data: memoryview, kind: int, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.frombuffer(data, _KINDS[kind]).reshape(shape)
    return (array.astype(np.uint32) << 16).view(np.float32) if kind == _BFLOAT16 else array
