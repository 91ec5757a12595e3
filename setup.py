"""What pyproject.toml cannot say: a C++ part, compiled where a compiler is (see its build.py)."""

from setuptools import setup

setup(cffi_modules=["segtasks/crf/native/build.py:ffi"])
