"""What compiled programs are kept from one call to the next."""

import functools
from collections.abc import Callable, Hashable

NUM_KEPT = 4
"""Programs kept of each kind: enough to take turns with a few operators of one loss.

Few, for as long as a program is kept, so is all that its loss closes over, and its constants.
"""


def kept[Made](make: Callable[..., Made]) -> Callable[..., Made]:
    """The same function, which remembers what it made of the last arguments.

    Args:
        make: Of positional arguments, told apart by equality. Where one cannot be hashed, such as a
            callable that holds arrays, all is made anew at each call.
    """
    remembered = functools.lru_cache(maxsize=NUM_KEPT)(make)

    @functools.wraps(make, updated=())
    def made(*arguments: Hashable) -> Made:
        try:
            hash(arguments)
        except TypeError:
            return make(*arguments)
        return remembered(*arguments)

    return made
