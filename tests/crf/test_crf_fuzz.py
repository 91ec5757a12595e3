"""No input kills the process; a SIGSEGV would fail this test instead of ending the run."""

import os
import subprocess
import sys

import pytest

from tests.helpers.crf_scenes import LATTICES, REFERENCE, needs_pydensecrf
from tests.helpers.paths import ROOT

FUZZ = ROOT / "tests" / "helpers" / "crf_fuzz.py"


@pytest.mark.parametrize("backend", [REFERENCE, "exact", *LATTICES])
def test_a_backend_answers_or_refuses_and_never_dies(backend: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(FUZZ), backend]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


@needs_pydensecrf
def test_a_process_that_dies_is_noticed() -> None:
    # What a sigma of zero did.
    code = (
        "import numpy as np, pydensecrf.densecrf as d; f = d.DenseCRF2D(9, 9, 2); "
        "f.setUnaryEnergy(np.zeros((2, 81), 'f4')); f.addPairwiseGaussian(sxy=0, compat=3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode < 0
