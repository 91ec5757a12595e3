"""wkentaro/pytorch-fcn: Caffe's names, which are ours too."""

from collections.abc import Mapping

from segtasks.networks.importers.spelling import Spelling

_LEAN = Spelling(unused=(r"upscore.*",))
"""The lean form has no deconvolutions."""

LAYOUTS: Mapping[str, Mapping[str, Spelling]] = {
    "wkentaro": {
        "fcn8s": Spelling(),
        "fcn8s_lean": _LEAN,
    }
}
