"""Backends that compute mean field, with one interface and the same lattice.

A backend is a module with one function. It updates all pixels at once, `iterations` times:

    Q <- softmax(-unary - sum over kernels of μ D^-1/2 k D^-1/2 Q),    from Q = softmax(-unary)

    def marginals(
        unary: float32 (K, pixels), kernels: Sequence[Kernel], iterations: int
    ) -> float32 (K, pixels)

k is the Gaussian of the kernel's features, filtered on the permutohedral lattice that pydensecrf
builds from them (the backend exact sums over all pairs instead). μ is the kernel's compatibility, D
the diagonal of k's row sums. If the number of pixels is no multiple of four, the lattice also has
the vertices around feature zero, like pydensecrf's, which pads blocks of four.
The inputs have been checked, are C-contiguous and must not be changed; the result is a new array.

Normalisation is always symmetric: it divides by local sums of the kernel. NO_NORMALIZATION divides
by the window's mean, so that the strength of the filter would depend on the window's border.
"""

import logging
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np

from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.errors import CrfError

__all__ = ["BACKENDS", "Kernel", "marginals", "resolve"]

BACKENDS = {
    "native": "segtasks.crf.backends.native",
    "pydensecrf": "segtasks.crf.backends.reference",
    "torch": "segtasks.crf.backends.torch_lattice",
    "exact": "segtasks.crf.backends.exact",
}
"""Modules, imported on first use because each needs another library."""
HINTS = {
    "native": "build segtasks with a C++ compiler",
    "pydensecrf": "pip install 'pydensecrf2>=1.1' (Python 3.11 or 3.12, g++ needed)",
    "torch": "pip install torch",
}

logger = logging.getLogger("segtasks")

Backend = Callable[[Float32, Sequence[Kernel], int], Float32]


def marginals(backend: str, unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Compute the marginals (K, pixels) of mean field with a backend; `unary` is not changed.

    Args:
        backend: "auto" or a name in `BACKENDS`.
        unary: (K, pixels) float32 energies, K >= 2; finite.
        kernels: pairwise terms over the same pixels and classes. Without any, the result is
            softmax(-unary).
        iterations: number of updates, >= 1.

    Raises:
        CrfError: arrays do not fit, the backend is not installed, or marginals are not finite.
    """
    update = _load(resolve(backend))
    _check(unary, kernels, iterations)
    result = update(np.ascontiguousarray(unary), kernels, iterations)
    if not np.isfinite(result).all():
        raise CrfError("the CRF's marginals are not finite: lower pos_w and bi_w, or report this")
    return result


def resolve(backend: str, *, has_cuda: bool = False) -> str:
    """Return the name of the backend; "auto" is replaced by the best one that is installed.

    "auto" is torch on CUDA, else the first installed one of native, pydensecrf and torch.

    Raises:
        CrfError: there is no such backend, or it is not installed.
    """
    if backend == "auto":
        on_cpu = filter(_is_installed, ("native", "pydensecrf"))
        return "torch" if has_cuda else next(on_cpu, "torch")
    if backend not in BACKENDS:
        raise CrfError(f"CRF backend {backend!r}: use auto or one of {', '.join(BACKENDS)}")
    if backend != "torch":  # always installed, and slow to import
        _load(backend)
    return backend


def _is_installed(backend: str) -> bool:
    try:
        import_module(BACKENDS[backend])
    except ImportError as error:
        logger.warning(
            "CRF backend %s cannot be loaded (%s): %s; auto takes the next",
            *(backend, error, HINTS[backend]),
        )
        return False
    return True


def _load(backend: str) -> Backend:
    try:
        update: Backend = import_module(BACKENDS[backend]).marginals
    except ImportError as error:
        raise CrfError(
            f"CRF backend {backend} cannot be loaded ({error}): {HINTS[backend]}, or use auto"
        ) from error
    return update


def _check(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> None:
    """Refuse inputs that would crash a backend or give NaN; kernels have checked themselves."""
    if unary.dtype != np.float32 or unary.ndim != 2 or len(unary) < 2 or not unary.size:  # noqa: PLR2004 - axes
        raise CrfError(
            f"unary is {unary.dtype} {unary.shape}, must be float32 (K, pixels), K >= 2, pixels > 0"
        )
    # If any value is NaN, so is the sum; this needs one pass and no mask.
    if not np.isfinite(unary.sum(dtype=np.float64)):
        raise CrfError("unary holds NaN or infinite energies, must be finite: clip probabilities")
    if iterations < 1:
        raise CrfError(f"iterations is {iterations}, must be >= 1: try 5")
    for kernel in kernels:
        if (kernel.classes, kernel.pixels) != unary.shape:
            raise CrfError(
                f"kernel of {kernel.classes} classes and {kernel.pixels} pixels does not fit "
                f"unary {unary.shape}: make both of one window"
            )
