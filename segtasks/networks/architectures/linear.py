"""A linear classifier of each pixel's bands: multinomial logistic regression, no context.

The honest baseline (what a network adds must be measured against it) and, with the unit matrix as
its weights, the identity network of the tests.
"""

from torch import Tensor, nn


class Linear(nn.Module):
    """One 1x1 convolution, bands -> classes. Any lattice, halo 0."""

    def __init__(self, *, classes: int, bands: int = 3, width: float = 1.0) -> None:  # noqa: ARG002 one signature for all networks
        super().__init__()
        self.score = nn.Conv2d(bands, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        y: Tensor = self.score(x)
        return y
