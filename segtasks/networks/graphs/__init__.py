"""Foreign graphs in place of a model file: TorchScript, torch.export and ONNX.

forms       which of them a file is, by its content
sidecar     what a person has to say about it: MODEL.card.json, or what the file itself carries
probe       what is found by trying it, in a process of its own
graph_card  the card made of both: all that the driver needs, without torch
torchscript, exported, onnx_graph -> engine -> net      what a worker runs
"""
