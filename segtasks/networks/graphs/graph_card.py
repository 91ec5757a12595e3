"""The card of a foreign graph: the fields that people state and the fields that a probe measures.

    read_graph_card       the card as stated; refused when a measured field is missing
    complete_graph_card   missing fields are measured, and kept in the user's cache
    probe_card            missing fields are measured; `segtasks model probe` writes the result

Measuring runs the graph on noise, for seconds to minutes. It happens in a separate process: the
driver does not import torch, and a graph that crashes does not take the driver with it.
"""

import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segtasks.errors import ModelError
from segtasks.networks.card import Card, Form, checked_card
from segtasks.networks.graphs import probe_cache
from segtasks.networks.graphs.sidecar import Fields, declared, merged, require, sidecar_of

logger = logging.getLogger("segtasks")

HASH = "weights_sha256"
PROBED = ("lattice_px", "output_stride", "effective_halo_px", "forward_bytes_per_px")
PROBED_OF_GRAPH = ("gives", "patch_px", "multiple_px", "least_px", "one_by_one")
_FIELDS_OF_ONE_FILE = (*PROBED, HASH, "halo_px", "seam_halo_px", "receptive_field_px", "graph")
_DEFAULTS = {"licence": "unknown", "receptive_field_px": None, "halo_px": None}
_PLACEHOLDERS = dict.fromkeys(PROBED, 1)
_GRAPH_PLACEHOLDERS = {**dict.fromkeys(PROBED_OF_GRAPH, 1), "gives": "logits"}


def read_graph_card(path: str | Path, form: Form) -> Card:
    """Return the card of a local graph as it is stated, without running the graph.

    Raises:
        ModelError: a field is missing or invalid, the sidecar was written for another file, or the
            graph cannot be read.
    """
    stated = _stated_for_this_file(path, form)
    if missing := _missing(stated):
        raise ModelError(
            f"{path}: its card does not state {', '.join(missing)}; run `segtasks model probe "
            f"{path} --card FIELDS.json`, which measures them and writes the complete card"
        )
    return _card(path, stated)


def complete_graph_card(path: str | Path, form: Form) -> Card:
    """Return the card of a local graph; run the graph to measure the fields that are missing.

    Measurements are kept in the user's cache (`probe_cache`), and a warning says when the graph is
    run because they are not there yet.

    Raises:
        ModelError: as `read_graph_card`, or the graph cannot be run.
    """
    stated = _stated_for_this_file(path, form)
    if not _missing(stated):
        return _card(path, stated)
    key = json.dumps(stated, sort_keys=True)
    measured = probe_cache.load(key)
    if measured is None:
        logger.warning(
            "%s: its card is incomplete, so the graph is run on noise to measure the other fields; "
            "this may take minutes. `segtasks model probe` writes the complete card",
            path,
        )
        measured = _run_probe(str(path), form, key)
        probe_cache.store(key, measured)
    return _card(path, stated, measured)


def probe_card(path: str | Path, form: Form, over: Mapping[str, Any]) -> Card:
    """Return the card of a local graph; run the graph to measure the fields that are missing.

    Measurements in a sidecar that was written for another file are ignored.

    Args:
        path: local path of the graph.
        form: file format of the graph.
        over: card fields that override those of the sidecar.

    Raises:
        ModelError: a field is missing or invalid, or the graph cannot be read or run.
    """
    fields, found = declared(path, form), file_sha256(path)
    if fields.get(HASH) not in (None, found):
        fields = _without_measurements(fields)
    stated = _stated(path, form, merged(fields, over), found)
    if not _missing(stated):
        return _card(path, stated)
    return _card(path, stated, _run_probe(str(path), form, json.dumps(stated)))


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a whole file, which takes the place of the hash of the weights."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stated_for_this_file(path: str | Path, form: Form) -> Fields:
    """Return what the file and its sidecar state; refuse a sidecar of another file."""
    fields, found = declared(path, form), file_sha256(path)
    written_for = fields.get(HASH)
    if written_for not in (None, found):
        raise ModelError(
            f"{sidecar_of(path)}: was written for another {Path(path).name} "
            f"({str(written_for)[:12]}, this is {found[:12]}); run `segtasks model probe {path}`"
        )
    return _stated(path, form, fields, found)


def _stated(path: str | Path, form: Form, fields: Fields, sha256: str) -> Fields:
    """Return the stated fields with their defaults, checked before minutes go into measuring."""
    require(path, fields)
    graph = {**fields.get("graph", {}), "form": form}
    stated = {"network": Path(path).stem, **_DEFAULTS, **fields, HASH: sha256, "graph": graph}
    placeholders = {**_PLACEHOLDERS, **stated, "graph": {**_GRAPH_PLACEHOLDERS, **graph}}
    checked_card(sidecar_of(path), placeholders)
    return stated


def _missing(stated: Fields) -> list[str]:
    """Return the measured fields that are not stated. ``patch_px`` may be: it means any size."""
    required = [f"graph.{key}" for key in PROBED_OF_GRAPH if key != "patch_px"]
    present = {*stated, *(f"graph.{key}" for key in stated["graph"])}
    return [key for key in (*PROBED, *required) if key not in present]


def _card(path: str | Path, stated: Fields, measured: Mapping[str, Any] | None = None) -> Card:
    """Return the card of both; a stated field overrides a measured one."""
    fields = merged(measured or {}, stated)
    # A patch_px of null means any size, and sidecars are read without their nulls.
    return checked_card(sidecar_of(path), merged({"graph": {"patch_px": None}}, fields))


def _without_measurements(fields: Fields) -> Fields:
    """Drop the fields that are likely to have been measured on another file."""
    kept = {key: value for key, value in fields.items() if key not in _FIELDS_OF_ONE_FILE}
    fill = fields.get("graph", {}).get("fill")
    return kept | ({"graph": {"fill": fill}} if fill else {})


def _run_probe(path: str, form: Form, stated: str) -> Any:  # noqa: ANN401 - JSON
    """Return what `graph_probe` measures in a separate process, given the stated fields as JSON."""
    words = [sys.executable, "-m", "segtasks.networks.graph_probe", path, form]
    done = subprocess.run(words, input=stated, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise ModelError(
            f"{path}: the probe of this graph ended with status {done.returncode} "
            f"({_last_line(done.stderr)}); export the graph again"
        )
    answer = json.loads(_last_line(done.stdout))
    if "error" in answer:
        raise ModelError(answer["error"])
    return answer


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
