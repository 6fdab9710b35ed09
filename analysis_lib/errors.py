"""Every error raised on purpose, each with the exit code of the command that meets it.

A message says what was wrong, where, and what to do; it never carries a row of data.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JianfuError(Exception):
    """Base of every deliberate error; shown to users without a traceback.

    Parameters
    ----------
    what : str
        What was wrong, in one line.
    where : str
        File, sheet, row, column or key that it concerns.
    fix : str
        What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        message = f"{where}: {what}" if where else what
        super().__init__(f"{message}\n  fix: {fix}" if fix else message)

    def __reduce__(self) -> tuple:
        # Errors cross process borders; the default reduction would lose the keyword arguments.
        return (_rebuild, (type(self), self.what, self.where, self.fix))


def _rebuild(kind: type[JianfuError], what: str, where: str, fix: str) -> JianfuError:
    return kind(what, where=where, fix=fix)


class UnitFailed(JianfuError):
    """At least one unit of a run did not end well."""

    exit_code = 1


class UsageError(JianfuError):
    """A command, parameter or configuration key that the suite does not know."""

    exit_code = 2


class InputRejected(JianfuError):
    """A raw file, drop or reference file that cannot be read safely."""

    exit_code = 3


class ContractError(InputRejected):
    """A table that breaks its written contract."""


class DesignError(InputRejected):
    """A sample design that does not allow the variance asked for."""


class PublicationBlocked(JianfuError):
    """Disclosure control, accessibility or sign-off stands in the way."""

    exit_code = 4


class NotReproducible(JianfuError):
    """A rerun that should have given the same bytes did not."""

    exit_code = 5


class LockHeld(JianfuError):
    """Another run works on the same study."""

    exit_code = 6


class EnvironmentProblem(JianfuError):
    """The machine lacks something: a package, a font, space, a permission."""

    exit_code = 7


class Late(JianfuError):
    """A quarter whose assessment is overdue."""

    exit_code = 8


class Interrupted(BaseException):
    """A person or the system asked a run to stop; like `KeyboardInterrupt`, no handler of errors may eat it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


def did_you_mean(seen: str, allowed: Iterable[str]) -> str:
    """Return a hint that names the nearest allowed words.

    >>> did_you_mean("regoin", ["region", "quarter"])
    'did you mean "region"? Allowed: quarter, region'
    """
    allowed = sorted(allowed)
    near = difflib.get_close_matches(seen, allowed, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    return f"{hint}Allowed: {', '.join(allowed)}"
