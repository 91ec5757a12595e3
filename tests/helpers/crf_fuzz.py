"""Check that a backend answers or raises a CrfError for any input, as a separate program.

    python crf_fuzz.py BACKEND

The exit status is 0, or there is a traceback, or the signal that killed the process.
"""

import math
import sys
import warnings
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from segtasks.crf import CrfParameters, refine
from segtasks.errors import CrfError

ODD = [
    0,
    -1,
    1e-30,
    1e-6,
    1e6,
    1e30,
    1e300,
    10**400,
    math.nan,
    math.inf,
    -math.inf,
    None,
    "3",
    True,
]
SPOILING = [math.nan, math.inf, -math.inf, -1.0, 300.0, 1e38, 1e-45]


def mostly(sound: st.SearchStrategy[Any], odd: list[Any]) -> st.SearchStrategy[Any]:
    """Draw a valid value 15 times out of 16, so that faults occur one at a time."""
    return st.integers(0, 15).flatmap(lambda n: sound if n else st.sampled_from(odd))


std = mostly(st.floats(0.5, 100), ODD)
weight = mostly(st.floats(0, 20), ODD)


@st.composite
def settings_of_a_crf(draw: st.DrawFn, classes: int) -> dict[str, Any]:
    names = ("pos_xy_std", "bi_xy_std", "bi_rgb_std")
    values = {name: draw(std) for name in names} | {n: draw(weight) for n in ("pos_w", "bi_w")}
    values["iterations"] = draw(mostly(st.integers(1, 3), [0, -1, 2.5, "5", None, 10**9]))
    if draw(st.booleans()):
        size = draw(mostly(st.just(classes), [0, 1, classes + 1]))
        rows = draw(st.lists(st.floats(-5, 5), min_size=size**2, max_size=size**2))
        matrix = np.array(rows).reshape(size, size)
        matrix = matrix + draw(mostly(st.just(1), [0])) * matrix.T
        matrix[:1, :1] = draw(mostly(st.just(0.0), [math.nan, math.inf, 1e38, 1e300]))
        values["compatibility"] = tuple(map(tuple, matrix.tolist()))
    return values


@st.composite
def arrays_of_a_window(draw: st.DrawFn) -> dict[str, Any]:
    classes, bands = draw(mostly(st.integers(2, 5), [1])), draw(st.integers(0, 4))
    shape = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    arrays: dict[str, Any] = {
        "probabilities": np.moveaxis(rng.dirichlet(np.ones(classes), shape), -1, 0),
        "image8": rng.uniform(0, 255, (bands, *shape)).astype(np.float32),
        "valid": rng.random(shape) < draw(st.sampled_from([0, 0.5, 1, 1, 1])),
    }
    for name in ("probabilities", "image8"):
        if arrays[name].size and draw(st.integers(0, 3)) == 0:
            arrays[name].flat[draw(st.integers(0, arrays[name].size - 1))] = draw(
                st.sampled_from(SPOILING)
            )
    return {name: draw(handled(array)) for name, array in arrays.items()}


@st.composite
def handled(draw: st.DrawFn, array: Any) -> Any:  # noqa: ANN401 - an array, or what is left of it
    """Change an array as users may pass it: another type, order or shape, or read-only."""
    kind = draw(mostly(st.just("as it is"), ["f4", "f2", "u1", "T", "F", "list", "cut", "frozen"]))
    if kind in ("f4", "f2", "u1"):
        with np.errstate(all="ignore"):
            return array.astype(kind)
    if kind == "frozen":
        array = array.copy()
        array.flags.writeable = False
        return array
    others = {"T": array.T, "F": np.asfortranarray(array), "list": array.tolist()}
    return others.get(kind, array[..., 1:] if kind == "cut" else array)


@settings(
    max_examples=int(sys.argv[2]) if len(sys.argv) > 2 else 120,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), arrays=arrays_of_a_window())
def answers_or_refuses(data: st.DataObject, arrays: dict[str, Any]) -> None:
    place = mostly(st.integers(0, 10**7), [-1, 10**12, 10**400])
    row, col = data.draw(place), data.draw(place)
    values = data.draw(settings_of_a_crf(len(arrays["probabilities"])))
    try:
        found = refine(
            **arrays, row=row, col=col, parameters=CrfParameters(**values), backend=sys.argv[1]
        )
    except CrfError as error:
        if "\n" in str(error):
            raise
        OUTCOMES.append("refused")
        return
    OUTCOMES.append("answered")
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=0), arrays["valid"].astype(float), atol=1e-4)


OUTCOMES: list[str] = []

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers_or_refuses()
    print(OUTCOMES.count("answered"), "answered,", OUTCOMES.count("refused"), "refused")  # noqa: T201 - its result
    assert min(map(OUTCOMES.count, ("answered", "refused"))) > len(OUTCOMES) / 10
