"""List the parameters, operations and frames of every model.

Parameters are for 313 classes, as in the report. GMACs are multiplications with addition for one training clip:
convolutions, linear layers and matrix products, as torch's flop counter sees them, and what papers call GFLOPs.
"""

import argparse

from pipeline.cli.arguments import CONF


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", nargs="*", help="configs of conf/model; without any, all of them")


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    from pipeline.cli import model_table

    print(model_table.table(CONF, args.name or None))
