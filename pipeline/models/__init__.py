"""Architectures, an open set: pipeline/models/<name>.py is what `arch: <name>` in conf/model/ means.

A model's file offers two things:

    INPUT                               the input that its weights expect: an InputSpec, or a MelSpec where it hears
    build(num_classes, *, <options>)    a network that maps clips (N, 3, T, H, W), or spectrograms (N, 1, mels, T), to
                                        logits (N, C)

A network that hears, and whose options change what it takes, says so in its attribute `hears`, a MelSpec.

One that needs a package which is not always installed names the extra of pyproject.toml that has it, EXTRA, and the
package, PACKAGES, whose version is then part of what its results are kept under; it imports it in `build` alone.

The keyword arguments of `build` are the options that a configuration may set. All weights are random:
checkpoints, our own and other projects', are loaded elsewhere.
"""
