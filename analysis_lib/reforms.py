"""Reforms as decided: what each targets, and where it starts when. Nothing here is estimated."""

from __future__ import annotations

from dataclasses import dataclass

from analysis_lib.errors import InputRejected
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study, read_toml


@dataclass(frozen=True, slots=True)
class Reform:
    """One reform of ``reforms.toml``.

    Attributes
    ----------
    id : str
        Short name.
    titles : dict of str to str
        Language → title.
    groups : tuple of str
        Activity groups that it means to cut.
    starts : dict of str to Quarter
        Region → first quarter in force there; a region has its own start, else that of the region above.
        Regions that never had the reform are absent.
    """

    id: str
    titles: dict[str, str]
    groups: tuple[str, ...]
    starts: dict[str, Quarter]

    def first_start(self, study: Study, region: str) -> Quarter | None:
        """First quarter in which the reform was in force anywhere in a region; None if it never was."""
        within = [start for code, start in self.starts.items() if region in (NATION, *study.ancestors(code))]
        return min(within, default=None)


def read_reforms(study: Study) -> list[Reform]:
    """The reforms of a study in file order; none when it has no ``reforms.toml``.

    Raises
    ------
    InputRejected
        When a reform lacks a key, or names a region that is not in ``regions.csv``.
    """
    path = study.reference / "reforms.toml"
    tables = read_toml(path).get("reform", []) if path.is_file() else []
    return [_reform(table, study) for table in tables]


def _reform(table: dict, study: Study) -> Reform:
    where = f"reference/reforms.toml, {table.get('id', 'a reform without id')}"
    lacking = [key for key in ("id", "title_zh", "title_en", "groups", "units") if key not in table]
    if lacking:
        raise InputRejected(f"{', '.join(lacking)} missing", where=where, fix="give each reform these keys")
    units: dict[str, str] = table["units"]
    unknown = sorted(set(units) - set(study.regions.index) - {NATION})
    if unknown:
        raise InputRejected(
            f"{unknown} are not in regions.csv", where=where, fix='name regions of regions.csv, or "all"'
        )
    starts = {
        str(code): Quarter.parse(units[nearest])
        for code in study.regions.index
        for nearest in [next((above for above in [*study.ancestors(str(code)), NATION] if above in units), None)]
        if nearest is not None
    }
    titles = {language: str(table[f"title_{language}"]) for language in ("zh", "en")}
    return Reform(str(table["id"]), titles, tuple(table["groups"]), starts)
