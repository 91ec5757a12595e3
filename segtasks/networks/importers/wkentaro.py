"""Layout of wkentaro/pytorch-fcn: Caffe's names, which are the native names too."""

from collections.abc import Mapping

from segtasks.networks.importers.key_mapping import KeyMapping

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "wkentaro": {
        **dict.fromkeys(("fcn32s", "fcn16s", "fcn8s"), KeyMapping()),
        # The lean network has no deconvolutions.
        "fcn8s_lean": KeyMapping(unused=(r"upscore.*",)),
    }
}
