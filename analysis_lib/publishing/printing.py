"""Pages as tagged PDF, printed by Chromium where it is; what it tells of its making is taken out."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
import unicodedata
from pathlib import Path

from analysis_lib.errors import EnvironmentProblem

# Chromium has its own sandbox, which asks for rights that a service account lacks; pages run nothing and load nothing.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_SECONDS = 120
# Chromium names some glyphs by the radical that looks the same, which no reader would search for. Unicode's own
# compatibility forms cover the Kangxi radicals; those of simplified characters have none.
_RADICALS = dict(
    zip(
        "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳",
        "母民虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟",
        strict=True,
    )
)
_NAMED = re.compile(
    r"<(\w+)> (?:<(\w+)> )?<(\w{4})>\n"
)  # a line of a table of glyphs: first, last, character of the first


def chromium() -> str | None:
    """Path of a Chromium on this machine."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def printed(page: str) -> bytes:
    """A page as a tagged PDF that names neither a program nor a time.

    Raises
    ------
    EnvironmentProblem
        Without Chromium, or when it does not print.
    """
    program = chromium()
    if program is None:
        raise EnvironmentProblem("Chromium is not on this machine", where="pdf", fix="install it, or set pdf = false")
    with tempfile.TemporaryDirectory(prefix="jianfu-print-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "page.html").write_text(page, encoding="utf-8")
        command = [
            program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer",
            "--generate-pdf-document-outline", f"--print-to-pdf={folder / 'page.pdf'}", (folder / "page.html").as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
            content = (folder / "page.pdf").read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise EnvironmentProblem(
                "Chromium did not print", where="pdf", fix="try again, or set pdf = false"
            ) from error
    return cleared(content)


def cleared(content: bytes) -> bytes:
    """A PDF of which the properties hold its title and nothing else."""
    from pypdf import PdfReader, PdfWriter

    reader = PdfReader(io.BytesIO(content))
    title = reader.metadata.title if reader.metadata else None
    writer = PdfWriter(clone_from=reader)
    writer.metadata = {"/Title": title or ""}
    for page in writer.pages:
        for font in page.get("/Resources", {}).get("/Font", {}).values():
            if names := font.get_object().get("/ToUnicode"):
                names.get_object().set_data(_NAMED.sub(_named, names.get_object().get_data().decode()).encode())
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def _named(line: re.Match[str]) -> str:
    """The line, with characters in the place of radicals."""
    first, last, code = line.groups()
    count = int(last or first, 16) - int(first, 16) + 1
    characters = [chr(int(code, 16) + place) for place in range(count)]
    plain = [unicodedata.normalize("NFKC", _RADICALS.get(each, each)) for each in characters]
    if not any("\u2e80" <= each <= "\u2fdf" for each in characters):
        return line[0]
    codes = " ".join(f"<{ord(each):04X}>" for each in plain)
    return f"<{first}> <{last}> [{codes}]\n" if last else f"<{first}> {codes}\n"
