"""Build instructions of the native CRF backend; setup.py passes `ffi` to setuptools.

cffi is used in API mode: the C compiler checks the declarations below against field.h, every call
releases the GIL, and the module works with the Python it was built with and all later ones (stable
ABI).
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

ffi = FFI()
ffi.cdef("""
typedef struct segtasks_field segtasks_field;
enum { SEGTASKS_OK, SEGTASKS_NO_MEMORY, SEGTASKS_BAD_FEATURES, SEGTASKS_TOO_LARGE };
int segtasks_field_new(int64_t pixels, int classes, const float *x, const float *y,
                       int plain, segtasks_field **made);
void segtasks_field_free(segtasks_field *field);
int segtasks_field_add(segtasks_field *field, const float *features, int dimensions,
                       const float *compatibility);
int segtasks_field_start(segtasks_field *field, const float *unary);
void segtasks_field_step(segtasks_field *field, const float *unary);
void segtasks_field_finish(segtasks_field *field, const float *unary, float *marginals);
""")
ffi.set_source(
    "segtasks.crf.native._field",
    '#include "field.h"',
    source_extension=".cpp",
    # Relative to setup.py, as setuptools requires.
    sources=[str(path.relative_to(ROOT)) for path in sorted(HERE.glob("*.cpp"))],
    include_dirs=[str(HERE.relative_to(ROOT))],
    depends=[str(path.relative_to(ROOT)) for path in sorted(HERE.glob("*.h"))],
    # No fused operations, so that marginals are the same on machines with and without them.
    extra_compile_args=["-std=c++17", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-psabi"],
    optional=True,
)
