"""What the way of enlarging does to tiles: python benchmarks/questions/seams.py.

Errors of a core of 64 px cut out of a strip of 4096 px with a halo, against the strip in one piece,
in standard deviations of the logits. Narrow untrained networks in float64; nothing else enters.
"""

import torch
from narrow import doublings, untrained
from showing import header, row
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.deeplab_v1 import LargeFOV

WIDTH, CLASSES = 1 / 16, 6
CORE, LONG_PX = slice(2048, 2112), 4096
REFINENET_HALOS_PX = (192, 384, 768, 1632)
LARGEFOV_HALOS_PX = (192, 224, 256, 448)


class Stretched(nn.Module):
    """LargeFOV whose units are stretched over whatever size comes, as many ports do."""

    def __init__(self, network: LargeFOV, *, align_corners: bool) -> None:
        super().__init__()
        self.network = network
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        units, size = self.network.coarse_logits(x), (x.shape[2], x.shape[3])
        return functional.interpolate(
            units, size, mode="bilinear", align_corners=self.align_corners
        )


def seam(network: nn.Module, whole: Tensor, x: Tensor, halo: int) -> float:
    """Largest error of the core of ``x`` (1, C, h, W) under a halo."""
    found = network(x[..., CORE.start - halo : CORE.stop + halo])
    core = found[..., halo : halo + CORE.stop - CORE.start]
    return float((core - whole[..., CORE]).abs().max() / whole.std())


def table(networks: dict[str, nn.Module], x: Tensor, halos: tuple[int, ...]) -> None:
    """A row of errors per network."""
    header("largest error, deviations", *(f"halo {halo} px" for halo in halos))
    for name, network in networks.items():
        with torch.inference_mode():
            whole = network(x)
            row(name, *(f"{seam(network, whole, x, halo):.1e}" for halo in halos))
    print()


def refinenets(x: Tensor) -> dict[str, nn.Module]:
    """Three ways to double a map before it is added to a finer one."""
    network = untrained("refinenet50", x.float(), classes=CLASSES, width=WIDTH).double()
    return {f"RefineNet-50, {method}": form for method, form in doublings(network).items()}


def largefovs(x: Tensor) -> dict[str, nn.Module]:
    """One map of units, enlarged three ways."""
    network = untrained("largefov", x.float(), classes=CLASSES, width=WIDTH).double()
    assert isinstance(network, LargeFOV)
    return {
        "LargeFOV, units on 0, 8, 16 … (8k + 1)": network,
        "LargeFOV, resized to 8k, align_corners": Stretched(network, align_corners=True),
        "LargeFOV, resized to 8k, half-pixel": Stretched(network, align_corners=False),
    }


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    x = torch.randn(1, 3, 32, LONG_PX, generator=torch.Generator().manual_seed(1)).double()
    table(refinenets(x), x, REFINENET_HALOS_PX)
    table(largefovs(x), x, LARGEFOV_HALOS_PX)


if __name__ == "__main__":
    main()
