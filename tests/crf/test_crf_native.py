"""The native backend alone: every shape of its inner loops, threads, memory, and bad input.

That it is pydensecrf on photographs is in test_crf_same_lattice.py.
"""

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtasks.crf import backends
from segtasks.crf.backends import Kernel, kernel
from segtasks.errors import CrfError
from tests.helpers.crf_scenes import Float32

pytest.importorskip("segtasks.crf.native._field", reason="the native backend is not built here")
from segtasks.crf.backends import native

Case = tuple[Float32, list[Kernel], int]


def case(classes: int, pixels: int, dims: tuple[int, ...] = (2, 5), reach: float = 6.0) -> Case:
    """Return energies of a noisy field, and a Potts kernel per number of features."""
    rng = np.random.default_rng(classes + pixels)
    unary = rng.uniform(0, 6, (classes, pixels)).astype(np.float32)
    features = [rng.uniform(0, reach, (d, pixels)).astype(np.float32) for d in dims]
    return unary, [Kernel(f, kernel.potts(classes, 2.5)) for f in features], 3


def assert_as(backend: str, given: Case) -> None:
    found, expected = (backends.marginals(name, *given) for name in ("native", backend))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Were the kernels left out, this would be another result.
    alone = backends.marginals(backend, given[0], [], 1)
    assert np.abs(expected - alone).max() > 1e-3


# every padded width of a row: 2, 4, 8, 16, 24, and beyond those compiled for
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8, 9, 16, 17, 24, 25, 33, 64])
def test_any_number_of_classes(classes: int) -> None:
    assert_as("pydensecrf", case(classes, 400))


# blocks hold 64, and pydensecrf fills up fours with pixels of its own
@pytest.mark.parametrize("pixels", [3, 63, 64, 65, 127, 200])
def test_any_number_of_pixels(pixels: int) -> None:
    assert_as("pydensecrf", case(6, pixels, reach=1.5))


@pytest.mark.parametrize("dims", range(1, 17))
def test_any_number_of_features(dims: int) -> None:
    assert_as("pydensecrf", case(5, 600, (dims,), reach=1.5))


# lattice keys of 21 digits do not fit one word
@pytest.mark.parametrize(("dims", "reach"), [(5, 2000.0), (9, 400.0), (16, 60.0)])
def test_wide_features(dims: int, reach: float) -> None:
    unary, kernels, iterations = case(4, 400, (dims,), reach)
    # Pairs of neighbours amid nothing, or no pixel would see another.
    kernels[0].features[:, 1::2] = kernels[0].features[:, ::2] + np.float32(0.3)
    assert_as("pydensecrf", (unary, kernels, iterations))


def test_features_may_be_negative() -> None:
    unary, kernels, iterations = case(3, 400)
    shifted = [Kernel(k.features - np.float32(3), k.compatibility) for k in kernels]
    assert_as("pydensecrf", (unary, shifted, iterations))


@pytest.mark.parametrize("classes", [2, 4, 6, 21, 40])
@pytest.mark.parametrize("dims", [(2, 5), (3, 6), (1,)])
def test_same_bits_on_every_processor(classes: int, dims: tuple[int, ...]) -> None:
    given = case(classes, 700, dims)
    plain = native._marginals(*given, plain=True)  # noqa: SLF001 - what older processors run
    np.testing.assert_array_equal(native.marginals(*given), plain)


@pytest.mark.parametrize("classes", [2, 6, 21])
def test_softmax_is_exact_to_float32(classes: int) -> None:
    unary = np.random.default_rng(0).uniform(-60, 20, (classes, 5000)).astype(np.float32)
    # The differences are rounded to float32, as they are in pydensecrf; all else is exact here.
    odds = np.exp((unary.min(axis=0) - unary).astype(np.float64))
    expected = odds / odds.sum(axis=0)
    np.testing.assert_allclose(native.marginals(unary, [], 1), expected, rtol=6e-7, atol=1e-37)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_overwhelming_energies_are_certainty(scale: float) -> None:
    unary = np.random.default_rng(0).uniform(-1, 1, (3, 200)).astype(np.float32) * np.float32(scale)
    found = native.marginals(unary, [], 1)
    np.testing.assert_array_equal(found.argmax(axis=0), unary.argmin(axis=0))
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)


def test_too_many_features_are_refused() -> None:
    with pytest.raises(CrfError, match="got 17 features, takes at most 16: use at most 14 bands"):
        native.marginals(*case(3, 8, (17,)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e9])
def test_features_that_pass_the_other_checks_are_refused(value: float) -> None:
    unary, kernels, _ = case(3, 100)
    features = kernels[1].features.copy()
    features[3, 70] = value
    unchecked: Any = SimpleNamespace(features=features, compatibility=kernels[1].compatibility)
    with pytest.raises(CrfError, match="not finite or beyond"):
        native.marginals(unary, [unchecked], 2)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_checked_inputs_never_kill_the_process(data: st.DataObject) -> None:
    classes, pixels = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 200))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    size = data.draw(st.sampled_from([0.0, 1e-30, 1.0, 30.0, 1000.0]))
    energy = data.draw(st.sampled_from([0.0, 1.0, 1e6, 1e30]))
    weight = data.draw(st.sampled_from([-1e3, -1.0, 0.0, 1e-9, 5.0, 1e6]))
    unary = rng.normal(0, 1, (classes, pixels)).astype(np.float32) * np.float32(energy)
    dims = data.draw(st.lists(st.integers(1, 16), max_size=3))
    features = [rng.normal(0, 1, (d, pixels)).astype(np.float32) * np.float32(size) for d in dims]
    kernels = []
    for term in features:
        try:
            kernels.append(Kernel(term, kernel.potts(classes, weight)))
        except CrfError:
            continue
    found = native.marginals(unary, kernels, data.draw(st.integers(1, 4)))
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_two_threads_get_what_one_gets() -> None:
    cases = [case(6, 20_000), case(3, 30_000)]
    expected = [native.marginals(*given) for given in cases]
    found: list[Float32 | None] = [None, None]

    def work(i: int) -> None:
        for _ in range(3):
            found[i] = native.marginals(*cases[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_other_threads_run_during_a_call() -> None:
    """Another thread counts during one call into C++, which it could not if the GIL were held."""
    unary, kernels, _ = case(6, 300_000, (5,))
    done, counted = threading.Event(), 0

    def work() -> None:
        native.marginals(unary, kernels, 1)
        done.set()

    threading.Thread(target=work).start()
    while not done.wait(0.001):
        counted += 1
    # Three calls into C++ in all: with the GIL held there would be a handful of gaps to count in.
    assert counted > 20


HUNGRY = """
import resource, sys
import numpy as np
from segtasks.crf.backends import Kernel, kernel, native
rng = np.random.default_rng(0)
unary = rng.uniform(0, 6, (6, 1_000_000)).astype(np.float32)
features = rng.uniform(0, 60, (5, 1_000_000)).astype(np.float32)
terms = [Kernel(features, kernel.potts(6, 3))]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    native.marginals(unary, terms, 2)
except MemoryError as error:
    print("refused:", error)
"""


# in the lattice, in its table, in the values
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
@pytest.mark.parametrize("mebibytes", [10, 100, 400])
def test_too_little_memory_is_an_exception(mebibytes: int) -> None:
    command = [sys.executable, "-c", HUNGRY, str(mebibytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "refused:" in done.stdout
