"""The card of a foreign graph: what is stated about it and what trying it shows. Needs no torch.

What nobody stated is found in a process of its own: the driver stays free of torch, and a graph
that crashes, crashes alone. `segtasks model probe` writes the answer down; without that every plan
asks anew.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from segtasks.errors import ModelError
from segtasks.networks.card import Card, Form, checked_card
from segtasks.networks.graphs.sidecar import Fields, declared, merged, require, sidecar_of

HASH = "weights_sha256"
PROBED = ("lattice_px", "output_stride", "effective_halo_px", "forward_bytes_per_px")
PROBED_OF_GRAPH = ("gives", "patch_px", "multiple_px", "least_px", "one_by_one")
_FINDINGS = (*PROBED, HASH, "halo_px", "seam_halo_px", "receptive_field_px", "graph")
_ANY = dict.fromkeys(PROBED, 1)
_ANY_GRAPH = {**dict.fromkeys(PROBED_OF_GRAPH, 1), "gives": "logits"}
_DEFAULTS = {"licence": "unknown", "receptive_field_px": None, "halo_px": None}


def read_graph_card(path: str | Path, form: Form) -> Card:
    """The card of a local graph.

    Raises:
        ModelError: something must be stated and is not; the sidecar is of another file; or the
            graph cannot be read, run, or used.
    """
    fields = declared(path, form)
    written_for, found = fields.get(HASH), file_sha256(path)
    if written_for not in (None, found):
        raise ModelError(
            f"{sidecar_of(path)}: was written for another {Path(path).name} "
            f"({str(written_for)[:12]}, this is {found[:12]}); run `segtasks model probe {path}`"
        )
    return _completed(path, form, fields, found)


def probed_card(path: str | Path, form: Form, over: Mapping[str, Any]) -> Card:
    """The card of a local graph, tried anew where its sidecar was written for another file.

    Args:
        path: of the graph.
        form: what it is.
        over: fields that win over those of its sidecar.
    """
    fields, found = declared(path, form), file_sha256(path)
    if fields.get(HASH) not in (None, found):
        fields = _without_findings(fields)
    return _completed(path, form, merged(fields, over), found)


def file_sha256(path: str | Path) -> str:
    """Hash of a whole file; it stands for a graph's weights."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _completed(path: str | Path, form: Form, fields: Fields, sha256: str) -> Card:
    require(path, fields)
    named = {"network": Path(path).stem, **_DEFAULTS, **fields, HASH: sha256}
    graph = {**fields.get("graph", {}), "form": form}
    # A typing error should not be found after minutes of trying.
    checked_card(sidecar_of(path), {**_ANY, **named, "graph": {**_ANY_GRAPH, **graph}})
    if not _is_complete(fields):
        found = _probe(str(path), form, sha256, json.dumps(merged(named, {"graph": graph})))
        named, graph = {**found, **named}, {**found["graph"], **graph}
    # A side of null says: any; sidecars are read without their nulls.
    return checked_card(sidecar_of(path), named | {"graph": {"patch_px": None, **graph}})


def _is_complete(fields: Mapping[str, Any]) -> bool:
    graph = fields.get("graph", {})
    wanted = [key for key in PROBED_OF_GRAPH if key != "patch_px"]
    return all(key in fields for key in PROBED) and all(key in graph for key in wanted)


def _without_findings(fields: Fields) -> Fields:
    """What a person stated, as far as that can be told: findings are of the other file."""
    kept = {k: v for k, v in fields.items() if k not in _FINDINGS}
    fill = fields.get("graph", {}).get("fill")
    return kept | ({"graph": {"fill": fill}} if fill else {})


@lru_cache(maxsize=8)
def _probe(path: str, form: Form, sha256: str, fields: str) -> Any:  # noqa: ANN401, ARG001 - JSON; a key
    """What `probe` finds, in a process of its own."""
    words = [sys.executable, "-m", "segtasks.networks.graph_probe", path, form]
    done = subprocess.run(words, input=fields, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise ModelError(
            f"{path}: trying it ended with status {done.returncode} ({_last_line(done.stderr)}); "
            "export it anew"
        )
    answer = json.loads(_last_line(done.stdout))
    if "error" in answer:
        raise ModelError(answer["error"])
    return answer


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing said"])[-1]
