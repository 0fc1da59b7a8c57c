"""Look into prediction files; import another program's scores.

    pipeline scores show FILE                        figures, best and worst videos and classes
    pipeline scores show FILE --video ID             one video: top classes against its labels
    pipeline scores show FILE --class NAME           one class: finds, misses and false alarms
    pipeline scores compare FILE FILE                where two models disagree most
    pipeline scores protocol FOLDER SPLIT NAME       recompute a protocol from the logits of the views
    pipeline scores import FILE ... --as NAME        another program's scores, as a member of the ensemble

FILE is <split>.parquet of data/predictions/<model> or data/ensemble, FOLDER one of these models' folders. NAME of a
protocol is clip, dense or multiscale, or chooses views by what they are: side=40,crop=centre.
"""

import argparse
from pathlib import Path

from pipeline.cli.arguments import DATA, at_least_one
from pipeline.core.errors import UserError

IMPORT = """\
Read are tables (CSV, or Parquet) with a column of ids and a column a class, and result pickles of mmaction2 and
PySlowFast. Pickles name neither videos nor classes, so that text files must (--ids, --names). Every video of the
splits val and test must have one row, and classes must stand in the order of the corpus."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments: a parser for each of show, compare, protocol and import."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    show = commands.add_parser("show", help="a prediction file, or one video or class of it")
    show.set_defaults(action=_show)
    show.add_argument("file", type=Path, metavar="FILE")
    one = show.add_mutually_exclusive_group()
    one.add_argument("--video", metavar="ID")
    one.add_argument("--class", metavar="NAME", dest="name")
    compare = commands.add_parser("compare", help="where two models disagree most")
    compare.set_defaults(action=_compare)
    compare.add_argument("files", type=Path, nargs=2, metavar="FILE")
    for command in (show, compare):
        command.add_argument(
            "--top", type=at_least_one, default=5, metavar="N", help="rows of a table (default: %(default)s)"
        )
    protocol = commands.add_parser("protocol", help="recompute a protocol from the stored views")
    protocol.set_defaults(action=_protocol)
    protocol.add_argument("folder", type=Path, metavar="FOLDER")
    protocol.add_argument("split", metavar="SPLIT")
    protocol.add_argument("protocol", metavar="NAME")
    protocol.add_argument("--write", type=Path, metavar="FILE.parquet", help="the table of this protocol")
    add = commands.add_parser("import", help="scores of another program", description=IMPORT)
    add.set_defaults(action=_import)
    _add_import_arguments(add)


def run(args: argparse.Namespace) -> None:
    """Do what was chosen of the four."""
    args.action(args)


def _add_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .parquet or .pkl; one or two splits")
    parser.add_argument("--as", dest="name", required=True, metavar="NAME", help="of the member")
    parser.add_argument(
        "--values", choices=("probabilities", "logits"), default="probabilities",
        help="what the scores are (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--task", choices=("auto", "single_label", "multi_label"),
        help="whether a video has one label: probabilities sum to 1, logits are of a softmax (default: dataset.task)",
    )  # fmt: skip
    parser.add_argument("--id", default="video", metavar="COLUMN", help="of the ids (default: %(default)s)")
    parser.add_argument(
        "--views", type=at_least_one, default=1, metavar="K", help="of each video, where the scores are sums over them"
    )
    parser.add_argument(
        "--ids", type=Path, action="append", default=[], metavar="FILE",
        help="for a pickle: a text file with one id a line, in its order; one for each pickle, in theirs",
    )  # fmt: skip
    parser.add_argument(
        "--names", type=Path, metavar="FILE", help="for pickles: a text file with one class a line, in their order"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of manifest, statistics and predictions")


def _show(args: argparse.Namespace) -> None:
    from pipeline.cli import score_tables
    from pipeline.predictions.table import PredictionTable

    table = PredictionTable.read(args.file)
    if args.video is not None:
        print(score_tables.video(table, args.video, args.top))
    elif args.name is not None:
        print(score_tables.of_class(table, args.name, args.top))
    else:
        print("\n".join([score_tables.summary(table), *score_tables.extremes(table, args.top)]))


def _compare(args: argparse.Namespace) -> None:
    from pipeline.cli import score_tables
    from pipeline.predictions.table import PredictionTable

    one, other = (PredictionTable.read(file) for file in args.files)
    print(score_tables.compared(one, other, args.top))


def _protocol(args: argparse.Namespace) -> None:
    from pipeline.cli import score_tables

    if args.write and (args.write.suffix != ".parquet" or args.write.is_dir()):
        raise UserError(f"--write {args.write}: name a file that ends in .parquet, and no folder.")
    table = score_tables.under(args.folder, args.split, args.protocol)
    if args.write:
        table.write(args.write)
    print(score_tables.summary(table))


def _import(args: argparse.Namespace) -> None:
    from pipeline.core import params
    from pipeline.predictions import import_scores

    out = import_scores.import_files(
        args.files, args.name, args.data,
        kind=args.values, views=args.views, id_column=args.id, ids=args.ids, names=args.names,
        task=args.task or params.text("dataset.task"),
    )  # fmt: skip
    print(f"{out}: the scores of every val and test video")
    print(f"To fuse it, add {args.name!r} to ensemble.members in conf/config.yaml, then `make params` and `dvc repro`.")
