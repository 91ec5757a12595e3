"""Mean field in C++ (segtasks/crf/native): pydensecrf's lattice, one core, without the GIL.

One process serves as many windows at once as it has threads. Between updates Python is heard, so
that an interrupt does not wait for the last one. The module is missing where segtasks was installed
without a C++ compiler.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.crf.native._field import ffi, lib
from segtasks.errors import CrfError

MOST_DIMENSIONS = 16
HINT = "enlarge pos_xy_std, bi_xy_std or bi_rgb_std"


def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Marginals (K, pixels); see `segtasks.crf.backends`.

    Raises:
        CrfError: more than 16 features, or a lattice of more than 2^30 vertices.
        MemoryError: the window does not fit into memory.
    """
    return _marginals(unary, kernels, iterations, plain=False)


def _marginals(
    unary: Float32, kernels: Sequence[Kernel], iterations: int, *, plain: bool
) -> Float32:
    """The same; `plain` leaves out what not every processor can do, which changes no bit."""
    field = _field(unary.shape, kernels, plain=plain)
    for kernel in kernels:
        _add(field, kernel)
    energies = ffi.from_buffer("float[]", unary)
    _check(lib.segtasks_field_start(field, energies))
    for _ in range(iterations - 1):
        lib.segtasks_field_step(field, energies)
    found = np.empty_like(unary)
    lib.segtasks_field_finish(field, energies, ffi.from_buffer("float[]", found))
    return found


def _field(shape: tuple[int, ...], kernels: Sequence[Kernel], *, plain: bool) -> Any:  # noqa: ANN401 - a C pointer
    """A field without terms. Its pixels are ordered by the first two features of the largest term.

    Any order is right; near pixels together are fast.
    """
    classes, pixels = shape
    largest = max((kernel.features for kernel in kernels), key=len, default=None)
    x = ffi.NULL if largest is None else _floats(largest[0])
    y = ffi.NULL if largest is None else _floats(largest[1 % len(largest)])
    made = ffi.new("segtasks_field **")
    _check(lib.segtasks_field_new(pixels, classes, x, y, int(plain), made))
    return ffi.gc(made[0], lib.segtasks_field_free)


def _add(field: Any, kernel: Kernel) -> None:  # noqa: ANN401
    """Build a kernel's lattice."""
    dimensions = len(kernel.features)
    if dimensions > MOST_DIMENSIONS:
        raise CrfError(
            f"CRF backend native got {dimensions} features, takes at most {MOST_DIMENSIONS}: "
            f"use at most {MOST_DIMENSIONS - 2} bands, or backend pydensecrf"
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
