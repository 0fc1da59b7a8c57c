"""The library behind the stages: from video files to an ensemble's scores.

    video files -> manifest -> JPEGs -> LMDB -> clips -> model -> predictions -> ensemble -> metrics

Each noun of the domain has the file that bears its name, and a file imports only from floors below its own:

    floor 0   errors, params, machine, work, catalog, records       what everything stands on
    floor 1   demo, demo_clip                                       the built-in corpus
              frames, store                                         video file -> JPEGs -> LMDB
              sampling, views, transforms                           which frames, which crops, which pixels
              statistics, metrics                                   arrays in, numbers out
              layers/                                               parts that models share
    floor 2   extraction, clips                                     whole corpora; samples for a model
              models/, losses/, datasets/                           open sets: one file is one member
              optim, checkpoint, predictions                        schedules; files that people open
    floor 3   training, inference, ensemble                         the three long jobs

`stages/` holds one thin script per stage of dvc.yaml, and conf/ what a user edits.
"""
