"""The commands: `pipeline COMMAND`, or `python -m pipeline COMMAND`.

`main.py` is the door: it parses, calls and turns what the user can mend into a message. Each command has the file of
its name, with two functions:

    add_arguments(parser)    describe its arguments
    run(args)                do it; return the exit status, or None for 0

The first line of its docstring is its line in `pipeline --help`, the whole docstring what `pipeline COMMAND --help`
says. These files are imported at every call, so that they import nothing heavy at the top (PyTorch, pandas, DVC): a
command's work stands in another file (`predict.py` calls `new_videos.py`), which is imported inside of `run`.
To add a command, add its file and its line in `main.py`.
"""
