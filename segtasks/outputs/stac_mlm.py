"""A model in a STAC item: what the MLM extension asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import pystac
from pystac.extensions.classification import Classification
from pystac.extensions.mlm import (
    AssetGeneralMLMExtension,
    InputStructure,
    MLMExtension,
    ModelInput,
    ModelOutput,
    ResultStructure,
    TaskType,
)
from pystac.extensions.raster import DataType

TASKS = [TaskType.SEMANTIC_SEGMENTATION]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model, as MLM describes it.

    Attributes:
        artifact: what wrote its file ("safetensors", "onnx" ...).
        framework: what runs it.
        dtype: of the raw pixels it was trained on, in whose units ``mean`` and ``std`` are.
        patch_px: side of one input.
        gives: logits or probabilities.
    """

    name: str
    network: str
    href: str
    artifact: str
    framework: str
    bands: tuple[str, ...]
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch_px: int
    parameters: int | None
    gives: str


def add_model(item: pystac.Item, model: Model, classes: Sequence[Classification]) -> None:
    """The model as properties, and its file as the asset that MLM requires."""
    MLMExtension.ext(item, add_if_missing=True).apply(
        name=model.name,
        architecture=model.network,
        tasks=TASKS,
        framework=model.framework,
        total_parameters=model.parameters,
        input=[_input(model)],
        output=[_output(model, classes)],
    )
    # What pystac writes for an unknown one: null, which says "trained from scratch".
    item.properties.pop("mlm:pretrained_source", None)
    item.add_asset("model", _asset(model))
    AssetGeneralMLMExtension.ext(item.assets["model"]).apply(artifact_type=model.artifact)


def _asset(model: Model) -> pystac.Asset:
    return pystac.Asset(
        model.href,
        title="Model",
        media_type=f"application/octet-stream; application={model.artifact}",
        roles=["mlm:model"],
        # MLM wants the bands of the input described where the model is (its AnyBandsRef), with
        # names, for which raster 1.1 has no field.
        extra_fields={
            "raster:bands": [{"name": name, "data_type": model.dtype} for name in model.bands]
        },
    )


def _input(model: Model) -> ModelInput:
    shape = [-1, len(model.bands), model.patch_px, model.patch_px]
    axes = ["batch", "bands", "height", "width"]
    found = ModelInput.create(
        name="patch",
        bands=list(model.bands),
        input=InputStructure.create(shape, axes, DataType.FLOAT32),
    )
    # One per band, as MLM has it since 1.3; pystac's own setter takes a single one.
    found.properties["value_scaling"] = [
        {"type": "z-score", "mean": mean, "stddev": std}
        for mean, std in zip(model.mean, model.std, strict=True)
    ]
    return found


def _output(model: Model, classes: Sequence[Classification]) -> ModelOutput:
    shape = [-1, len(classes), model.patch_px, model.patch_px]
    axes = ["batch", "class", "height", "width"]
    return ModelOutput.create(
        name=model.gives,
        tasks=TASKS,
        result=ResultStructure.create(shape, axes, DataType.FLOAT32),
        classes=list(classes),
    )
