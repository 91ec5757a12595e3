"""The parts of the build that pyproject.toml cannot declare.

- A C++ extension, compiled where a compiler is (see segtasks/crf/native/build.py). It uses the
  stable ABI, so one wheel serves Python 3.11 and all later versions.
- The flows and prefect.yaml, which lie at the top of the repository. A wheel has them in
  segtasks/deployments, from where `segtasks up` deploys them by path: a top-level package `flows`
  in site-packages would collide with a user's own.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DEPLOYMENTS = "segtasks/deployments"


class BuildWithDeployments(build_py):
    """Copy the modules of the package, the flows and prefect.yaml."""

    def run(self) -> None:
        """Copy all of them; an editable installation uses those of the checkout."""
        super().run()
        if not self.editable_mode:
            for source in (Path("prefect.yaml"), *sorted(Path("flows").glob("*.py"))):
                target = Path(self.build_lib, DEPLOYMENTS, source)
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target), preserve_mode=False)


setup(
    cffi_modules=["segtasks/crf/native/build.py:ffi"],
    cmdclass={"build_py": BuildWithDeployments},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
