"""The messages on the wire: golden files that both sides read, and invalid messages."""

from __future__ import annotations

import json
import re
from typing import get_args

import golden
import msgspec
import pytest

from asrpro_worker.messages import GatewayMessage, WorkerMessage, decode_gateway

GATEWAY = {kind.__struct_config__.tag for kind in get_args(GatewayMessage)}


def names() -> list[str]:
    return sorted(path.stem for path in golden.DIRECTORY.glob("*.msgpack"))


@pytest.mark.parametrize("name", names())
def test_golden_messages_survive_decoding_and_encoding(name: str) -> None:
    frame = (golden.DIRECTORY / f"{name}.msgpack").read_bytes()
    readable = json.loads((golden.DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    message = (
        decode_gateway(frame) if readable["type"] in GATEWAY else msgspec.msgpack.decode(frame, type=WorkerMessage)
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message)) == readable


def test_golden_files_are_up_to_date() -> None:
    assert names() == sorted(golden.EXAMPLES)
    for name, message in golden.EXAMPLES.items():
        assert msgspec.msgpack.decode((golden.DIRECTORY / f"{name}.msgpack").read_bytes()) == message


def test_every_message_has_a_golden_file() -> None:
    kinds = {kind.__struct_config__.tag for kind in (*get_args(GatewayMessage), *get_args(WorkerMessage))}
    assert {message["type"] for message in golden.EXAMPLES.values()} == kinds


def test_unknown_keys_are_ignored() -> None:
    frame = msgspec.msgpack.encode({"type": "cancel", "job": "j", "from_a_later_version": 1})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(decode_gateway(frame))) == {"type": "cancel", "job": "j"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"job": 7}, "Expected `str`, got `int` - at `$.job`"),
        ({"task": "sing"}, "Invalid enum value 'sing' - at `$.task`"),
        ({"hotwords": ["a", 1]}, "Expected `str`, got `int` - at `$.hotwords[1]`"),
        ({"beam_size": True}, "Expected `int | null`, got `bool` - at `$.beam_size`"),
        ({"beam_size": 0}, "Expected `int` >= 1 - at `$.beam_size`"),
        ({"temperature": "hot"}, "Expected `float | null`, got `str` - at `$.temperature`"),
        ({"type": "sing"}, "Invalid value 'sing' - at `$.type`"),
    ],
)
def test_an_invalid_value_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        decode_gateway(msgspec.msgpack.encode({**golden.EXAMPLES["transcribe"], **change}))


def test_a_missing_key_is_named() -> None:
    message = {key: value for key, value in golden.EXAMPLES["transcribe"].items() if key != "audio"}
    with pytest.raises(ValueError, match="missing required field `audio`"):
        decode_gateway(msgspec.msgpack.encode(message))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        b"\x81\xa1\xff\x01",
        b"\x82\xa4type\xa6cancel\xa3job\xa1\xff",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode(None),
    ],
)
def test_garbage_raises_an_error(frame: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them is handled
        decode_gateway(frame)
