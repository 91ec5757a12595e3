"""Run a graph on noise and see what comes out."""

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
_FAINTEST = 1e-30


@dataclass
class TrialForward:
    """A graph with the input it is used to.

    Attributes:
        path: how messages begin.
        engine: the graph.
        bands: their names.
        classes: how many there must be.
        normalisation: of the raw values.
        largest_px: pixels of the largest image it has taken so far.
    """

    path: str
    engine: GraphSession
    bands: Sequence[str]
    classes: int
    normalisation: Normalisation
    largest_px: int = 0

    def image(
        self, height: int, width: int, *, seed: int = 0, contrast: float = 1.0, count: int = 1
    ) -> Tensor:
        """White noise over the whole range of raw values, normalised: (N, C, H, W).

        Args:
            height: of the image.
            width: of the image.
            seed: another one, another image.
            contrast: share of the range.
            count: N.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand(count, len(self.bands), height, width, generator=generator)
        noise = 0.5 + contrast * (noise - 0.5)
        full = FULL_RANGE.get(self.normalisation.dtype)
        if full is None:  # no range is known: as usual after normalisation
            return (noise - 0.5) * 12**0.5
        mean, std = (
            torch.tensor(values)[:, None, None]
            for values in (self.normalisation.mean, self.normalisation.std)
        )
        return ((full * noise).round() - mean) / std

    def raw_maps(self, x: Tensor) -> Tensor:
        """The graph's own maps (N, K, h, w).

        Raises:
            RuntimeError: it does not take ``x``, or gives something else than maps.
        """
        with torch.inference_mode():
            y = self.engine(x).float()
        if y.ndim != _AXES or len(y) != len(x):
            said = " x ".join(map(str, y.shape))
            raise RuntimeError(f"gives {said}; it must give one map per class, (N, classes, H, W)")
        self.largest_px = max(self.largest_px, x.shape[0] * x.shape[2] * x.shape[3])
        return y

    def stride(self, height: int, width: int) -> int:
        """How many pixels one of its outputs stands for, in an image of this size.

        Raises:
            RuntimeError: it does not take the size, or not every output stands for as many.
            ModelError: it does not give the maps that its card says.
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

    def evidence(self, x: Tensor, gives: Gives) -> Tensor:
        """Maps of the input's size in which shares are not squeezed: logits, but for a constant."""
        return evidence_of(sized(two_classes(self.raw_maps(x), gives), x), gives)


def evidence_of(maps: Tensor, gives: Gives) -> Tensor:
    """Logits as they are; of probabilities the logarithms, less their mean over the classes."""
    if gives == "logits":
        return maps
    logs = maps.clamp_min(_FAINTEST).log()
    return logs - logs.mean(dim=1, keepdim=True)
