"""A raised method version says in CHANGELOG.md what changed; else the build fails."""

import pytest

from analysis_lib.errors import PublicationBlocked
from analysis_lib.methods import method_versions, refuse_unexplained_methods, suite_folder
from analysis_lib.running.suite import Suite


def test_every_method_of_the_suite_is_explained():
    assert set(method_versions()) == set(Suite.find().notebooks)
    assert suite_folder() == Suite.find().folder
    refuse_unexplained_methods()


@pytest.mark.parametrize(
    ("entry", "is_explained"),
    [("- 03-hours-lost, method 2: secondary activity counts, +0.4 hours", True), ("- 03-hours-lost, method 3", False),
     ("- 04-reform-effects, method 2: other weights", False), ("", False)],
)  # fmt: skip
def test_a_raised_version_needs_an_entry_that_names_notebook_and_version(tmp_path, entry, is_explained):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    suite = '[[notebook]]\nfile = "03-hours-lost.ipynb"\nmethod = 2\n[[notebook]]\nfile = "04-reform-effects.ipynb"\n'
    (folder / "suite.toml").write_text(suite, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changes\n{entry}\n", encoding="utf-8")
    assert method_versions(folder) == {"03-hours-lost": 2, "04-reform-effects": 1}
    if is_explained:
        refuse_unexplained_methods(folder)
    else:
        with pytest.raises(PublicationBlocked, match="method 2"):
            refuse_unexplained_methods(folder)
