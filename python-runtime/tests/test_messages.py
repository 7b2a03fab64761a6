"""The wire, as both languages see it."""

from __future__ import annotations

import json
from typing import get_args

import golden
import msgpack
import pytest

from asrpro_worker.codec import ProtocolError, decode_gateway, decode_worker, encode
from asrpro_worker.messages import GatewayMessage, WorkerMessage

GATEWAY = {kind.type for kind in get_args(GatewayMessage)}


def names() -> list[str]:
    return sorted(path.stem for path in golden.DIRECTORY.glob("*.msgpack"))


@pytest.mark.parametrize("name", names())
def test_golden_message_survives_both_ways(name: str) -> None:
    frame = (golden.DIRECTORY / f"{name}.msgpack").read_bytes()
    readable = json.loads((golden.DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    message = decode_gateway(frame) if readable["type"] in GATEWAY else decode_worker(frame)
    assert msgpack.unpackb(encode(message)) == readable


def test_golden_files_are_those_of_the_script() -> None:
    assert names() == sorted(golden.EXAMPLES)
    for name, message in golden.EXAMPLES.items():
        assert msgpack.unpackb((golden.DIRECTORY / f"{name}.msgpack").read_bytes()) == message


def test_every_message_has_a_golden_file() -> None:
    kinds = {kind.type for kind in (*get_args(GatewayMessage), *get_args(WorkerMessage))}
    assert {message["type"] for message in golden.EXAMPLES.values()} == kinds


def test_unknown_keys_are_dropped() -> None:
    frame = msgpack.packb({"type": "cancel", "job": "j", "of_a_later_version": 1})
    assert msgpack.unpackb(encode(decode_gateway(frame))) == {"type": "cancel", "job": "j"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"job": 7}, "Transcribe.job is 7"),
        ({"task": "sing"}, "Transcribe.task is 'sing'"),
        ({"hotwords": ["a", 1]}, r"Transcribe.hotwords\[\] is 1"),
        ({"beam_size": True}, "Transcribe.beam_size is True"),
        ({"temperature": "hot"}, "Transcribe.temperature is 'hot'"),
        ({"type": "sing"}, "type: 'sing' is unknown"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        decode_gateway(msgpack.packb({**golden.EXAMPLES["transcribe"], **change}))


def test_a_missing_key_is_named() -> None:
    message = {key: value for key, value in golden.EXAMPLES["transcribe"].items() if key != "audio"}
    with pytest.raises(ProtocolError, match="audio is missing"):
        decode_gateway(msgpack.packb(message))


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x93\x01", msgpack.packb([1]), msgpack.packb(None)])
def test_garbage_is_no_message(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_gateway(frame)
