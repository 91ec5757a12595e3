"""wkentaro/pytorch-fcn: Caffe's names, which are ours too."""

from collections.abc import Mapping

from segtasks.networks.importers.key_mapping import Spelling

LAYOUTS: Mapping[str, Mapping[str, Spelling]] = {
    "wkentaro": {
        **dict.fromkeys(("fcn32s", "fcn16s", "fcn8s"), Spelling()),
        # The lean form has no deconvolutions.
        "fcn8s_lean": Spelling(unused=(r"upscore.*",)),
    }
}
