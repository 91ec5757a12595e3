"""Every network: parameters, multiply-adds, speed as it is and as we run it.

    python benchmarks/networks.py --width 0.25 --side 512

*Eager* is the module as built, in inference mode; *ours* what `networks.runtime.prepare` makes of
it: BatchNorm folded, channels_last, packed weights, malloc tuned. The two are timed in turn. On a
GPU bfloat16 stands beside float32, and the share of the card's own matrix-product rate, measured in
the same run.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from segtasks.config.inference import Precision
from segtasks.networks import build, names
from segtasks.networks.analysis.forward_cost import gmac, parameters
from segtasks.networks.inference.runtime import prepare
from segtasks.pipeline.compute_slot import compute

Forward = Callable[[torch.Tensor], torch.Tensor]


def seconds(forward: Forward, x: torch.Tensor) -> float:
    """Of one forward; the device is waited for."""
    begun = time.perf_counter()
    with torch.inference_mode():
        forward(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def in_turn(forms: dict[str, Forward], x: torch.Tensor, rounds: int) -> dict[str, float]:
    """Median seconds of each form, A B A B, after one forward each that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for each in range(rounds + 1):
        for name, forward in forms.items():
            found = seconds(forward, x)
            if each:
                taken[name].append(found)
    return {name: statistics.median(values) for name, values in taken.items()}


def matmul_gmac_per_second(dtype: torch.dtype, side: int = 8192) -> float:
    """What the GPU reaches on one square matrix product, 1e9 multiply-adds per second."""
    a = torch.randn(side, side, device="cuda", dtype=dtype)
    taken = [seconds(lambda x: x @ x, a) for _ in range(5)]
    return side**3 / min(taken) / 1e9


def forms_of(module: nn.Module, device: str) -> dict[str, Forward]:
    """The forms that are compared."""
    if device == "cpu":
        return {"eager": module, "ours": prepare(module)}
    kinds: tuple[Precision, ...] = ("float32", "bfloat16")
    return {kind: prepare(module, device=device, precision=kind) for kind in kinds}


def table(chosen: argparse.Namespace) -> None:
    """One row per network."""
    device, side = chosen.device, chosen.side
    ceiling = matmul_gmac_per_second(torch.bfloat16) if device == "cuda" else 0.0
    first, second = ("eager", "ours") if device == "cpu" else ("float32", "bfloat16")
    print(f"width {chosen.width:g}, {side} x {side} px, {device}, MPx/s")
    print(f"{'network':<20} {'parameters':>12} {'GMAC':>7} {first:>9} {second:>9} {'ratio':>6}")
    for name in chosen.networks or names():
        torch.manual_seed(0)
        module = build(name, classes=chosen.classes, width=chosen.width).eval()
        work = gmac(module, bands=3, height=side, width=side)
        x = torch.randn(1, 3, side, side, device=device)
        forms = forms_of(module.to(device), device)
        taken = in_turn(forms, x, chosen.rounds)
        speed = {form: side**2 / 1e6 / taken[form] for form in forms}
        share = f"  {100 * work / taken[second] / ceiling:.0f} % of matmul" if ceiling else ""
        print(
            f"{name:<20} {parameters(module):>12,} {work:7.1f} {speed[first]:9.3f} "
            f"{speed[second]:9.3f} {speed[second] / speed[first]:6.2f}{share}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--networks", nargs="*", choices=names())
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    # In the computing slot, as on the route: its freed memory is kept.
    compute(lambda: table(chosen))


if __name__ == "__main__":
    main()
