"""Losses, an open set: pipeline/losses/<name>.py is what `loss.name: <name>` in conf/ means.

A loss' file offers four things:

    TASKS                                         the tasks (core/task.py) that it can train
    SOFT_TARGETS                                  whether targets may lie between 0 and 1, as mixup makes them
    MEAN_OVER                                     "videos" or "labels": by which of them pieces of a batch weigh
    build(statistics, *, scale=1.0, <options>)    a module: logits (N, C), targets (N, C) -> scalar

A target of -1 is not known, and costs nothing: losses that look at each class alone keep their divisor, so that a known
class pulls as it does where all are known, and those that look at pairs leave out the pairs with such a class.
cross_entropy needs the one label, and dataset.task refuses others for it.

The keyword arguments of `build` are the options that a configuration may set. All losses compute in float32 where the
logits are of half precision, and have finite gradients for all finite logits and any set of labels.

                    task           looks at                 targets     a video without a label, or with all
    bce             multi_label    each class alone         0..1        counts as any other
    asymmetric      multi_label    each class alone         0..1        counts as any other
    lsep            multi_label    pairs in a video         0 or 1      adds 0 to the mean over videos
    wlsep, warp     multi_label    pairs in a video         0 or 1      adds 0 to the mean over labels
    cross_entropy   single_label   all classes together     0..1        there is none

auto is no loss: it means bce or cross_entropy, whichever the corpus' task asks for.

bce, asymmetric and cross_entropy are affine in their targets, so the loss of a mixture of two label vectors (mixup) is
the mixture of the two losses. A ranking loss is defined by which class is to stand above which; a mixture does not say,
so those three refuse it.
"""
