"""The input of the network: windows of ``image`` and ``valid``, and normalised patches."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segtasks.networks import pretrained
from segtasks.networks.inference.model_cache import RunOptions, graph_net, network
from segtasks.networks.inference.runtime import Net, Runtime
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Window
from segtasks.raster.stretch import FULL_RANGE
from segtasks.storage import local_copy, workspace
from segtasks.storage.raster_reader import Image, Valid

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a tile has read: ``image`` (C, h, w) and ``valid`` (h, w) of ``window``."""

    window: Window
    image: Image
    valid: Valid


def read(plan: Plan, window: Window) -> Pixels:
    """Read a window of what ingest wrote."""
    url = plan.job.workspace_url
    return Pixels(
        window, workspace.read(url, "image", window), workspace.read(url, "valid", window)
    )


def normalise(plan: Plan, pixels: Pixels, window: Window) -> Floats:
    """Return the input of the network (C, h, w): zero mean, unit deviation, 0 at nodata.

    0 is the mean colour. A graph that takes raw pixels has its own value for nodata.
    """
    inner = window.within(pixels.window)
    raw = _in_model_units(plan, pixels.image[(..., *inner)])
    raw -= np.array(plan.card.normalisation.mean, np.float32)[:, None, None]
    raw /= np.array(plan.card.normalisation.std, np.float32)[:, None, None]
    raw *= pixels.valid[inner]
    if plan.card.graph and plan.card.graph.fill:
        raw += np.array(plan.card.graph.fill, np.float32)[:, None, None] * ~pixels.valid[inner]
    return raw


def _in_model_units(plan: Plan, image: Image) -> Floats:
    if plan.stretch is None:
        return image.astype(np.float32)
    return plan.stretch(image, FULL_RANGE.get(plan.card.normalisation.dtype, 1.0))


def net_of(plan: Plan) -> Net:
    """Return what the plan runs: its network with TTA, or its graph; loaded once per process."""
    if plan.card.graph is None:
        return network_of(plan)
    return graph_net(model_path(plan), plan.card.weights_sha256, plan.card.graph, plan.batch)


def network_of(plan: Plan) -> Runtime:
    """Return the network of the plan with its TTA, loaded once per process."""
    settled = plan.tuned
    how = RunOptions(settled.precision, settled.form, plan.batch)
    return network(model_path(plan), plan.card.weights_sha256, how, plan.tta)


def model_path(plan: Plan) -> str:
    """Return the path of a local copy of the model file."""
    return str(local_copy.local_copy(pretrained.resolve(plan.job.model)))
