"""Messages to bytes and back, checked against their declarations."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack

from asrpro_worker.messages import GatewayMessage, WorkerMessage

T = TypeVar("T")


class ProtocolError(ValueError):
    """What came is not a message of this protocol; the text names the first key that is wrong."""


def encode(message: GatewayMessage | WorkerMessage) -> bytes:
    """One message as a msgpack map with its `type`."""
    fields = dataclasses.asdict(message)
    for optional in ("segment_timestamps", "cluster"):
        if fields.get(optional, 0) is None:
            del fields[optional]
    return bytes(msgpack.packb({"type": message.type, **fields}))


def decode_gateway(frame: bytes) -> GatewayMessage:
    """A message of the gateway. Raises ProtocolError."""
    message: GatewayMessage = _decode(frame, GatewayMessage)
    return message


def decode_worker(frame: bytes) -> WorkerMessage:
    """A message of a worker. Raises ProtocolError."""
    message: WorkerMessage = _decode(frame, WorkerMessage)
    return message


def _decode(frame: bytes, union: Any) -> Any:
    try:
        value = msgpack.unpackb(frame)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"not msgpack: {error}") from error
    kind = value.get("type") if isinstance(value, dict) else None
    for candidate in get_args(union):
        if candidate.type == kind:
            return check(candidate, value)
    raise ProtocolError(f"type: {kind!r} is unknown")


def check(kind: type[T], value: object) -> T:
    """`value` (of JSON or msgpack) as the dataclass `kind`, every field checked. Raises ProtocolError."""
    checked: T = _check(kind, value, kind.__name__)
    return checked


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _check(kind: Any, value: Any, at: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        given = {name: hint for name, hint in hints.items() if name in value}
        if missing := [name for name in hints if name not in given and not hasattr(kind, name)]:
            raise ProtocolError(f"{at}.{missing[0]} is missing")
        return kind(**{name: _check(hint, value[name], f"{at}.{name}") for name, hint in given.items()})
    if origin in (Union, types.UnionType):
        # The unions in use are "X or None", and a number or a map or None.
        if value is None and type(None) in args:
            return None
        return _check(args[1] if isinstance(value, dict) and len(args) > 2 else args[0], value, at)  # noqa: PLR2004
    if origin is list and isinstance(value, list):
        return [_check(args[0], item, f"{at}[]") for item in value]
    if origin is dict and isinstance(value, dict):
        return {_check(args[0], key, at): _check(args[1], item, f"{at}.{key}") for key, item in value.items()}
    if origin is Literal and value in args:
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if origin is None and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ProtocolError(f"{at} is {value!r}")
