"""Batch semantic segmentation of very large aerial images.

Each function takes one job, a model that checks its settings when it is made:

```python
import segtasks

job = segtasks.Job(source="ortho.tif", to="result", model="demo")
result = segtasks.segment(job)
print(result)
```

Making a job raises `pydantic.ValidationError` if a setting is wrong. The functions raise a
`segtasks.errors.SegtasksError`, whose text says in one line what is wrong and how to fix it. They
work the same in a script, with or without ``if __name__ == "__main__":``, and in a notebook. What a
function needs (torch, rasterio, Dask) is imported when the function is first used.
"""

from importlib.metadata import version

import lazy_loader

# The public names are listed in __init__.pyi, for type checkers and for lazy_loader (SPEC 1).
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("segtasks")
