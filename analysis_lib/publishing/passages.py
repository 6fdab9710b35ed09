"""Pages to read rather than to look at: passages of text, links and tables, in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from analysis_lib.publishing.charts import Table
from analysis_lib.publishing.pages import NAVIGATION, render_template
from analysis_lib.study import Study


@dataclass(frozen=True)
class Link:
    """A line of a list, with a link where it has an address.

    Attributes
    ----------
    text, href : str
        What it says, and where it leads.
    beside : str
        Words after it.
    others : sequence of Link
        Further links on the same line.
    """

    text: str
    href: str = ""
    beside: str = ""
    others: Sequence[Link] = ()


@dataclass(frozen=True)
class Passage:
    """A heading with what stands below it.

    Attributes
    ----------
    id, title : str
        Anchor and heading.
    lines : sequence of str
        Paragraphs.
    links : sequence of Link
        A list.
    table : Table, optional
        Words or numbers in rows.
    style : str
        Style of the list: ``points``, or ``places`` for names in columns.
    """

    id: str
    title: str
    lines: Sequence[str] = ()
    links: Sequence[Link] = ()
    table: Table | None = None
    style: str = "points"


def render_passages(
    study: Study,
    language: str,
    *,
    title: str,
    lede: str,
    passages: Sequence[Passage],
    switch: list[dict[str, str]],
    navigation: str = "",
    feed: str = "",
    downloads: bool = False,
) -> str:
    """A page of passages; without a navigation of its own it is one of a release, which a site fills.

    Parameters
    ----------
    navigation : str
        Items of the navigation of a page of the site.
    feed : str
        Address of the feed of releases.
    downloads : bool
        Whether links to the files that hold a whole release stand at its end.
    """
    return render_template(
        "passages",
        study,
        language,
        finding=title,
        lede=lede,
        passages=passages,
        switch=switch,
        navigation=Markup(navigation or NAVIGATION),
        is_released=not navigation,
        downloads=downloads,
        feed=feed,
    )
