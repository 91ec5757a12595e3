"""Mean field in C++ (segtasks/crf/native): pydensecrf's lattice, on one core, without the GIL.

A process can compute as many windows at once as it has threads. Control returns to Python between
updates, so that an interrupt does not wait for the last one. The module is missing if segtasks was
installed without a C++ compiler.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.crf.native._field import ffi, lib
from segtasks.errors import CrfError

MAX_DIMENSIONS = 16
HINT = "enlarge pos_xy_std, bi_xy_std or bi_rgb_std"


def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Compute marginals (K, pixels); see `segtasks.crf.backends`.

    Raises:
        CrfError: there are more than 16 features, or the lattice has more than 2^30 vertices.
        MemoryError: the window does not fit into memory.
    """
    return _marginals(unary, kernels, iterations, plain=False)


def _marginals(
    unary: Float32, kernels: Sequence[Kernel], iterations: int, *, plain: bool
) -> Float32:
    """Compute marginals; `plain` avoids optional processor instructions, without changing a bit."""
    field = _field(unary.shape, kernels, plain=plain)
    for kernel in kernels:
        _add(field, kernel)
    energies = ffi.from_buffer("float[]", unary)
    _check(lib.segtasks_field_start(field, energies))
    for _ in range(iterations - 1):
        lib.segtasks_field_step(field, energies)
    result = np.empty_like(unary)
    lib.segtasks_field_finish(field, energies, ffi.from_buffer("float[]", result))
    return result


def _field(shape: tuple[int, ...], kernels: Sequence[Kernel], *, plain: bool) -> Any:  # noqa: ANN401 - a C pointer
    """Create a field without terms, with pixels ordered by two features of the largest term.

    The order does not change the result, but it is fastest if pixels close in space are close in
    memory.
    """
    classes, pixels = shape
    largest = max((kernel.features for kernel in kernels), key=len, default=None)
    x = ffi.NULL if largest is None else _floats(largest[0])
    y = ffi.NULL if largest is None else _floats(largest[1 % len(largest)])
    pointer = ffi.new("segtasks_field **")
    _check(lib.segtasks_field_new(pixels, classes, x, y, int(plain), pointer))
    return ffi.gc(pointer[0], lib.segtasks_field_free)


def _add(field: Any, kernel: Kernel) -> None:  # noqa: ANN401
    """Build a kernel's lattice and add it to the field."""
    dimensions = len(kernel.features)
    if dimensions > MAX_DIMENSIONS:
        raise CrfError(
            f"CRF backend native got {dimensions} features, takes at most {MAX_DIMENSIONS}: "
            f"use at most {MAX_DIMENSIONS - 2} bands, or backend pydensecrf"
        )
    compatibility = np.ascontiguousarray(kernel.compatibility)
    status = lib.segtasks_field_add(
        field, _floats(kernel.features), dimensions, _floats(compatibility)
    )
    _check(status)


def _floats(array: Float32) -> Any:  # noqa: ANN401
    return ffi.from_buffer("float[]", array)


def _check(status: int) -> None:
    if status == lib.SEGTASKS_NO_MEMORY:
        raise MemoryError("no memory for this CRF window: use smaller windows or fewer at once")
    if status == lib.SEGTASKS_BAD_FEATURES:
        raise CrfError(f"CRF features are not finite or beyond 2^20 lattice cells: {HINT}")
    if status == lib.SEGTASKS_TOO_LARGE:
        raise CrfError(f"CRF lattice needs over 2^30 vertices: make windows smaller, or {HINT}")
