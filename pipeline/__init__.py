"""The library behind the stages: from video files to an ensemble's scores.

    video files -> manifest -> JPEGs -> LMDB -> clips -> model -> predictions -> ensemble -> metrics

Each noun of the domain has the file that bears its name, and a file imports only from floors below its own:

    floor 0   errors, params, work, machine, catalog, compose,      what everything stands on
              pickles, dumps, interruption, stopwatch, code, forks
              tables, records, ledger                               the tables that stages hand on
    floor 1   demo, demo_clip                                       the built-in corpus
              frames, store                                         video file -> JPEGs -> LMDB
              sampling, views, transforms, mixing, loader           which frames, crops, pixels, batches
              statistics, metrics, ranking, means, bootstrap,       arrays in, numbers out
              calibration, confusion
              drawing                                               numbers in, SVG out
              layers/                                               parts that models share
              weights, anatomy                                      a checkpoint's tensors; what their names tell
    floor 2   extraction, clips                                     whole corpora; samples for a model
              models/, losses/, datasets/, importers/               open sets: one file is one member
              optim, devices                                        schedules; the processes that share a training
              checkpoint, resume, curves, predictions, blocks       files that are written and read
              pretrained, recipe, predictor                         weights from elsewhere; a model made, and asked
    floor 3   training, inference                                   the long jobs
              rivals, blend, variants                               the search for the ensemble's weights
              ensemble, submission, results                         scores -> a fused table; files and figures
    floor 4   fusion                                                from prediction files to an ensemble
              run, classes, gallery, provenance, report, page/      from all outs to a page
              compare, zoo, appraisal, settings                     experiments, models, a checkpoint, conf/
              foreign, inspection, predict                          scores from elsewhere; a look at scores; new videos

`stages/` holds one thin script per stage of dvc.yaml, and conf/ what a user edits.
"""
