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
    """Print the tables: of the networks that need no extra, and of those of each extra."""
    from pipeline.cli import model_table

    print("\n\n".join(model_table.tables(CONF, args.name or None).values()))
