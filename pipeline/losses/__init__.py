"""Losses, an open set: pipeline/losses/<name>.py is what `loss.name: <name>` in conf/ means.

A loss' file offers three things:

    SOFT_TARGETS                                  whether targets may lie between 0 and 1, as mixup makes them
    MEAN_OVER                                     "videos" or "labels": by which of them pieces of a batch weigh
    build(statistics, *, scale=1.0, <options>)    a module: logits (N, C), targets (N, C) -> scalar

The keyword arguments of `build` are the options that a configuration may set. All losses compute in float32 where the
logits are of half precision, and have finite gradients for all finite logits and any set of labels.

                 looks at                 targets          a video without a label, or with all
    bce          each class alone         0..1             counts as any other
    asymmetric   each class alone         0..1             counts as any other
    lsep         pairs in a video         0 or 1           adds 0 to the mean over videos
    wlsep, warp  pairs in a video         0 or 1           adds 0 to the mean over labels

bce and asymmetric are affine in their targets, so the loss of a mixture of two label vectors (mixup) is the mixture of
the two losses. A ranking loss is defined by which class is to stand above which; a mixture does not say, so those three
refuse it.
"""
