"""A command of `pipeline`, run in this process; its UserErrors are not turned into messages."""

from pipeline.cli.main import parser


def call(*arguments: object) -> int | None:
    args = parser().parse_args([str(argument) for argument in arguments])
    return args.run(args)
