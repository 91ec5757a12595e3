"""Read and write the metadata of the QGIS plugin Deepness (PUTvision). Needs no torch.

Values are JSON, in older files Python literals. The plugin divides raw bytes by 255 and computes
(x - standardization_mean) / standardization_std. It uses the first bands, in the order red, green,
blue. It drops values below seg_thresh and areas smaller than seg_small_segment: these two keys are
recorded here and not applied, because they change the drawing and not the model.
"""

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from segtasks.config.legend import default_legend
from segtasks.errors import ModelError
from segtasks.networks.card import Card
from segtasks.raster.band_names import RGB
from segtasks.raster.stretch import MAX_8BIT

_NAMES = ("class_names", "names")
_RECORDED = ("tile_size", "tiles_size", "tiles_overlap", "seg_thresh", "seg_small_segment")
_STANDARDIZATION = ("standardization_mean", "standardization_std")
_KEYS = ("model_type", "resolution", *_STANDARDIZATION, *_NAMES, *_RECORDED)


def fields_of(where: str, metadata: Mapping[str, str], bands: int | None) -> dict[str, Any]:
    """Return the card fields that follow from the plugin's keys; empty if there are no such keys.

    Args:
        where: path of the file, the start of error messages.
        metadata: the metadata of the file.
        bands: number of bands that the graph takes; ``None`` if the file does not state it.

    Raises:
        ModelError: the model is not a segmentor, or a value is not of the form the plugin writes.
    """
    found = {key: _value(where, key, text) for key, text in metadata.items() if key in _KEYS}
    if not {"model_type", *_NAMES} & found.keys():
        return {}
    _check_type(where, str(found.get("model_type", "Segmentor")))
    recorded = {f"deepness_{key}": found[key] for key in _RECORDED if key in found}
    fields: dict[str, Any] = {"provenance": recorded}
    for key in _NAMES:
        if key in found:
            fields["classes"] = default_legend(_names(where, key, found[key]))
            break
    if "resolution" in found:
        fields["ground_resolution_m"] = _number(where, "resolution", found["resolution"]) / 100
    if bands is not None:
        fields |= _input(where, found, bands)
    return fields


def metadata_of(card: Card) -> dict[str, str]:
    """Return the plugin's keys for a graph that takes raw bytes; empty for other dtypes."""
    if card.normalisation.dtype != "uint8":
        return {}
    count = len(card.bands)
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(entry.id): entry.name for entry in card.classes},
        # Undo the division by 255 in the plugin: the graph takes the raw bytes.
        "standardization_mean": [0.0] * count,
        "standardization_std": [1 / MAX_8BIT] * count,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    if card.ground_resolution_m:
        values["resolution"] = 100 * card.ground_resolution_m
    if card.graph and card.graph.patch_px:
        # The plugin reads the first key; its documentation names the second.
        values |= dict.fromkeys(("tile_size", "tiles_size"), card.graph.patch_px)
    return {key: json.dumps(value) for key, value in values.items()}


def _value(where: str, key: str, text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except ValueError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise _wrong(where, key, text, "JSON") from None


def _wrong(where: str, key: str, value: object, form: str) -> ModelError:
    return ModelError(f"{where}: its metadata {key} is {value!r:.80}; it must be {form}")


def _check_type(where: str, kind: str) -> None:
    if kind.lower() not in {"segmentor", "segmenter"}:
        raise ModelError(
            f"{where}: its metadata says model_type {kind}; only a Segmentor gives a map per class"
        )


def _names(where: str, key: str, value: object) -> list[str]:
    """Return the class names of the first output; a single class gets a background class."""
    first = value[0] if isinstance(value, list) and value else value
    names = {str(i): str(name) for i, name in first.items()} if isinstance(first, dict) else {}
    ids = [str(i) for i in range(len(names))]
    if not names or set(ids) != names.keys():
        raise _wrong(where, key, value, '{"0": "name", "1": "name", ...} without gaps')
    listed = [names[i] for i in ids]
    return ["background", *listed] if len(listed) == 1 else listed


def _input(where: str, found: Mapping[str, Any], bands: int) -> dict[str, Any]:
    """Return bands and normalisation, in units of bytes."""
    names = RGB if bands == len(RGB) else [f"band {i}" for i in range(1, bands + 1)]
    mean = _numbers(where, "standardization_mean", found, [0.0] * bands)
    std = _numbers(where, "standardization_std", found, [1.0] * bands)
    normalisation = {"mean": mean, "std": std, "dtype": "uint8"}
    return {"bands": list(names), "normalisation": normalisation}


def _numbers(
    where: str, key: str, found: Mapping[str, Any], default: Iterable[float]
) -> list[float]:
    values = found.get(key, default)
    if not isinstance(values, list):
        raise _wrong(where, key, values, "a list of numbers, one per band")
    return [MAX_8BIT * _number(where, key, value) for value in values]


def _number(where: str, key: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # refused below
    except (TypeError, ValueError):
        raise _wrong(where, key, value, "a number") from None
