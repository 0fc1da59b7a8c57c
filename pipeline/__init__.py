"""The library behind the stages: from video files to an ensemble's scores.

    video files -> manifest -> JPEGs -> LMDB -> clips -> model -> predictions -> ensemble -> metrics

The packages in the order of the flow. Each noun of the domain has the file that bears its name.

    core/            what every stage stands on: errors, settings, files, tables, the manifest; no PyTorch in it
    datasets/        how a corpus is annotated -> manifest
    demo/            the built-in corpus
    extraction/      video files -> JPEGs
    sound/           video files -> sound, for models that hear
    flow/            JPEGs in LMDB -> optical flow, for models that take it
    clips/           JPEGs -> LMDB -> batches: which frames, crops, views, augmentation; and windows of sound
    class_stats.py   videos per class, weights of a loss, prior
    layers/          parts that networks share
    models/          networks, one architecture a file
    losses/          losses, one a file
    cost.py          a network -> its parameters and GMACs
    pretrained/      checkpoints of others -> weights here; importers/, one source a file
    runtime/         what the long jobs share: devices, checkpoints, signals, progress
    features.py      what a frozen network says of every video, computed once
    training/        recipe -> weights
    metrics.py       scores and labels -> sample mAP, top-1 accuracy and their like
    chance.py        labels -> what answers that come from nowhere would score
    verdict.py       figures and chance -> the sentence that says what they are worth
    predictions/     the files that hold what a model says of each video
    inference/       weights -> prediction files
    folds/           cross-validation: a held-out prediction of every video
    ensemble/        prediction files -> fused files, member weights, intervals, a submission
    report/          all of that -> one page
    comparison/      runs -> what was changed, and what came of it
    export/          weights -> ONNX files and PyTorch programs that say how they are fed
    serve/           uploaded videos -> answers over HTTP, and a page to try it
    near_doubles/    videos that show the same in other bytes, found by what moves in them
    ui/              all of that -> pages in a browser, and marks of wrong labels
    check.py         everything that is wrong with params.yaml, before anything runs
    check_model.py   the same of one model
    check_corpus.py  what the videos are too few for, as soon as they are listed
    cli/             `pipeline COMMAND`

datasets, models, losses and pretrained/importers are open sets: one file is one member, its name the word in conf/. Who
may import whom, from the top; a package imports from those further down, and from its neighbours without a circle:

    stages, cli > comparison, export, near_doubles, serve, ui > report, check, check_model, check_corpus
    > ensemble, inference, folds
    > training, features, predictions
    > models, losses, pretrained, runtime, sound, flow, extraction, datasets, demo, clips
    > layers, class_stats, verdict, chance, metrics, cost, core

`stages/` holds one thin script per stage of dvc.yaml, and conf/ what a user edits.
"""
