"""What people decided, as it was when a release was made: ``study.toml`` and the reference files, kept by content."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from analysis_lib.errors import NotReproducible
from analysis_lib.fingerprints import files_fingerprint
from analysis_lib.study import Study

CONFIGURATION = "study.toml"


def keep_snapshot(study: Study) -> str:
    """Keep a copy of ``study.toml`` and the reference files unless there is one of these bytes; returns its name."""
    digest = snapshot_digest(study.root)
    folder = _archive(study) / digest
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".keeping-"))
        try:
            copy_decisions(study.root, staging)
            staging.chmod(0o750)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return digest


def snapshot(study: Study, digest: str) -> Path:
    """Folder of a snapshot; raises `NotReproducible` when it is gone or was edited."""
    folder = _archive(study) / digest
    if not folder.is_dir() or snapshot_digest(folder) != digest:
        raise NotReproducible(
            "the copy of study.toml and the reference files is gone or was edited",
            where=f"archive/{digest}",
            fix="restore it from a backup",
        )
    return folder


def copy_decisions(root: Path, target: Path) -> None:
    """Copy ``study.toml`` and the reference files of a folder to another."""
    shutil.copyfile(root / CONFIGURATION, target / CONFIGURATION)
    shutil.copytree(root / "reference", target / "reference", copy_function=shutil.copyfile)


def snapshot_digest(root: Path) -> str:
    """Hash of ``study.toml`` and the reference files of a folder."""
    return files_fingerprint([root / CONFIGURATION, *decided_files(root)], base=root)


def decided_files(root: Path) -> list[Path]:
    """Reference files of a folder, in order."""
    return sorted(path for path in (root / "reference").rglob("*") if path.is_file())


def _archive(study: Study) -> Path:
    return study.root / "archive"
