"""Reads the record file of an offline run: a LevelDB log of protocol buffers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(run_folder: Path) -> list[Any]:
    data = next(run_folder.glob("run-*.wandb")).read_bytes()
    found, position, partial = [], 7, b""
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        chunk = data[position + 7 : position + 7 + length]
        if len(chunk) < length:
            break  # torn by a kill
        position += 7 + length
        partial = chunk if kind in (FULL, FIRST) else partial + chunk
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(partial)
            found.append(record)
    return found


def history(run_folder: Path) -> list[dict[str, Any]]:
    """The logged rows, without wandb's own values."""
    rows = []
    for record in records(run_folder):
        if record.WhichOneof("record_type") == "history":
            row = {
                item.key or ".".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            rows.append({k: v for k, v in row.items() if not k.startswith("_")})
    return rows


def of_type(run_folder: Path, kind: str) -> list[Any]:
    return [getattr(r, kind) for r in records(run_folder) if r.WhichOneof("record_type") == kind]


def config(run_folder: Path) -> dict[str, Any]:
    """The configuration as last recorded."""
    updates = [u for c in of_type(run_folder, "config") for u in c.update]
    return {u.key: json.loads(u.value_json) for u in updates}


def summary(run_folder: Path) -> dict[str, Any]:
    """The summary as last recorded, without wandb's own values and without pictures."""
    updates = [u for c in of_type(run_folder, "summary") for u in c.update]
    found = {u.key or ".".join(u.nested_key): json.loads(u.value_json) for u in updates}
    return {key: value for key, value in found.items() if not key.startswith("_")}
