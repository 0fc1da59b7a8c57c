"""The exception whose message is meant for the user."""


class UserError(Exception):
    """Something that the user can mend: a setting, a file, a label.

    The message says what is wrong, where, and the command that mends it. Stages print it without a traceback;
    any other exception is a bug of this program and keeps its traceback.
    """
