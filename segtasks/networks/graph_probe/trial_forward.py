"""Run a graph on noise and check the maps it returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks.card import Gives, Normalisation
from segtasks.networks.graphs.session import GraphSession
from segtasks.networks.inference.graph_net import sized, two_classes
from segtasks.raster.stretch import FULL_RANGE

_AXES = 4
_LEAST_PROBABILITY = 1e-30


@dataclass
class TrialForward:
    """A graph, and what its card states about input and output.

    Attributes:
        path: path of the graph, the start of error messages.
        session: the graph.
        bands: names of the input bands.
        classes: number of classes.
        normalisation: normalisation of the raw values.
        largest_px: number of pixels of the largest batch that was run so far.
    """

    path: str
    session: GraphSession
    bands: Sequence[str]
    classes: int
    normalisation: Normalisation
    largest_px: int = 0

    def image(
        self, height: int, width: int, *, seed: int = 0, contrast: float = 1.0, count: int = 1
    ) -> Tensor:
        """Return normalised white noise (N, C, H, W) over the range of raw values.

        Args:
            height: H, px.
            width: W, px.
            seed: seed of the random numbers.
            contrast: share of the range that is used, around its middle.
            count: N.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand(count, len(self.bands), height, width, generator=generator)
        noise = 0.5 + contrast * (noise - 0.5)
        full = FULL_RANGE.get(self.normalisation.dtype)
        if full is None:  # The range is unknown: noise of mean 0 and variance 1.
            return (noise - 0.5) * 12**0.5
        mean, std = (
            torch.tensor(values)[:, None, None]
            for values in (self.normalisation.mean, self.normalisation.std)
        )
        return ((full * noise).round() - mean) / std

    def raw_maps(self, x: Tensor) -> Tensor:
        """Run the graph and return its own maps (N, K, h, w).

        Raises:
            RuntimeError: the graph does not take ``x``, or does not return one map per class.
        """
        with torch.inference_mode():
            y = self.session(x).float()
        if y.ndim != _AXES or len(y) != len(x):
            shape = " x ".join(map(str, y.shape))
            raise RuntimeError(f"gives {shape}; it must give one map per class, (N, classes, H, W)")
        self.largest_px = max(self.largest_px, x.shape[0] * x.shape[2] * x.shape[3])
        return y

    def stride(self, height: int, width: int) -> int:
        """Return the output stride for an image of this size, px.

        Raises:
            RuntimeError: the graph does not take this size, or the stride is not a whole number or
                differs between the axes.
            ModelError: the graph returns another number of maps than its card names classes.
        """
        y = self.raw_maps(self.image(height, width))
        if y.shape[1] != self.classes and (y.shape[1], self.classes) != (1, 2):
            raise ModelError(
                f"{self.path}: gives {y.shape[1]} maps, its card names {self.classes} classes; "
                "name them all, in the order of the maps"
            )
        stride = height // y.shape[2] or 1
        if (y.shape[2] * stride, y.shape[3] * stride) != (height, width):
            raise RuntimeError(
                f"gives {y.shape[2]} x {y.shape[3]} px for {height} x {width} px, no whole output "
                "stride; pad and upsample inside the graph"
            )
        return stride

    def logits(self, x: Tensor, gives: Gives) -> Tensor:
        """Return logits (N, K, H, W) of the input's size, up to a constant per pixel."""
        return as_logits(sized(two_classes(self.raw_maps(x), gives), x), gives)


def as_logits(maps: Tensor, gives: Gives) -> Tensor:
    """Return logits as they are; for probabilities, the logarithms minus their mean."""
    if gives == "logits":
        return maps
    logs = maps.clamp_min(_LEAST_PROBABILITY).log()
    return logs - logs.mean(dim=1, keepdim=True)
