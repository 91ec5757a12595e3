"""Foreign graphs in place of a model file: TorchScript, torch.export and ONNX.

    file_format    which of the three formats a file has, by its content
    sidecar        the card fields that people state, in MODEL.card.json or in the file itself
    graph_card     the card: stated fields and fields measured by `graph_probe`, without torch
    torchscript, exported, onnx_graph -> session -> inference.graph_net      what a worker runs

The driver needs the card only and does not import torch.
"""
