"""What stops the one-machine stack, said in one sentence with the way out.

Every message names what was wrong, where, and what to do next; the command line prints it without a traceback.
"""


class StackError(Exception):
    """The one-machine stack cannot go on; the message is one sentence and the way out."""
