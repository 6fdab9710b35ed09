"""What a site must pass before readers see it: no leaks, no dead links, equal formats and languages, sound pages.

Each gate takes a site that was put together and names what is wrong, a line each, and never repeats what it found: a
message that quotes a leak is another leak. Gates read the files of the release that is to be published and those of the
site itself; releases that readers have seen were read when they were published.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from analysis_lib.publishing.gates.formats import unequal_formats, unequal_languages
from analysis_lib.publishing.gates.leaks import Searched, leaks_in
from analysis_lib.publishing.gates.links import dead_links
from analysis_lib.publishing.gates.markup import Page, faults_of, read_page
from analysis_lib.publishing.releases import Release, results_of
from analysis_lib.publishing.site import OLDER
from analysis_lib.study import Study

_QUARTER = re.compile(r"\d{4}Q[1-4]")


def problems_of_site(study: Study, site: Path, release: Release, *, private: Collection[str] = ()) -> list[str]:
    """What keeps a release from readers, a line each with the gate that says so; empty when all is well.

    Parameters
    ----------
    site : pathlib.Path
        Folder of a site that holds the release, such as `analysis_lib.publishing.site.assemble` gives.
    private : collection of str
        Texts that must not stand anywhere, such as ids of respondents.
    """
    files = new_files(site, release)
    pages = {path: read_page(site / path, path) for path in files if path.endswith(".html")}
    searched = Searched.of(study, private)
    found = {
        "leak": [line for path in files for line in leaks_in(site / path, path, searched)],
        "link": dead_links(site, pages, hosts=study.config.publishing.link_hosts),
        "markup": [line for page in pages.values() for line in faults_of(page)] + _same_titles(pages),
        "formats": unequal_formats(study, site, release, results_of(release), pages),
        "languages": unequal_languages(pages, study.config.publishing.languages),
    }
    return [f"{gate}: {line}" for gate, lines in found.items() for line in lines]


def new_files(site: Path, release: Release) -> list[str]:
    """Addresses of the files of a release, and of those of the site that belong to no quarter."""
    paths = (path.relative_to(site) for path in sorted(site.rglob("*")) if path.is_file())
    return [
        path.as_posix()
        for path in paths
        if path.parts[0] != OLDER
        and (str(release.quarter) in path.parts[:2] or not any(_QUARTER.fullmatch(part) for part in path.parts[:2]))
    ]


def _same_titles(pages: dict[str, Page]) -> list[str]:
    first: dict[str, str] = {}
    return [
        f"{path}: its title is that of {first[page.title]}"
        for path, page in pages.items()
        if first.setdefault(page.title, path) != path
    ]
