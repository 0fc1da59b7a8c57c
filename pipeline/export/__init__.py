"""Trained models for programs without this pipeline: ONNX files and PyTorch programs that say how they are fed.

extra.py         the packages of the extra `onnx`, or the message that names it
description.py   what a file says of itself: frames, views, mean, classes, weights
spectrogram.py   the image of sound, in the graph of a model that hears
graphs.py        a network -> a file, compared with the network
fusion.py        the members' logits -> the ensemble's answer, as a graph
folder.py        all files of a model or of the ensemble, all or nothing
card.py          the README.md beside them
snippets.py      its code, which runs them without this pipeline
onnx_network.py  a file -> a network, which onnxruntime runs
"""
