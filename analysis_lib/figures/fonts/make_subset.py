"""Make the chart fonts from Noto Sans CJK SC: ``python make_subset.py FOLDER`` with Debian's fonts-noto-cjk there.

The charts need a Chinese font that is the same on every machine. The subset holds the 6,763 characters of GB 2312,
which cover the place names of China but for a handful, and what Latin text and formulas need; hints and layout
tables are left out, because the fonts only measure texts and draw the charts of notebooks. The family is renamed, so
that an installed Noto font can never be taken in its place.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FAMILY = "Jianfu Sans SC"
FACE_OF_SC = 2  # place of the Simplified Chinese face in Debian's collections
EXTRA = "–—−→≤≥≈±×·‘’“”…‰€⊇Σ√²³½¼¾\u00a0\u202f"
NAME_FAMILY, NAME_STYLE, NAME_UNIQUE, NAME_FULL, NAME_POSTSCRIPT = 1, 2, 3, 4, 6


def gb2312() -> set[int]:
    """Code points of GB 2312: symbols and kana, then both levels of Han characters."""
    characters = set()
    for row in [*range(1, 10), *range(16, 88)]:
        for cell in range(1, 95):
            try:
                characters.add(ord(bytes([0xA0 + row, 0xA0 + cell]).decode("gb2312")))
            except UnicodeDecodeError:
                continue  # an unassigned cell
    return characters


def make(source: Path, target: Path, style: str) -> None:
    """Write one weight of the subset."""
    font = TTFont(source, fontNumber=FACE_OF_SC, recalcTimestamp=False)
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=["*"])
    subsetter = subset.Subsetter(options)
    latin = set(range(0x20, 0x7F)) | set(range(0xA0, 0x100))
    subsetter.populate(unicodes=gb2312() | latin | {ord(character) for character in EXTRA})
    subsetter.subset(font)
    plain = FAMILY.replace(" ", "")
    for number, text in {
        NAME_FAMILY: FAMILY,
        NAME_STYLE: style,
        NAME_UNIQUE: f"{plain}-{style}",
        NAME_FULL: f"{FAMILY} {style}",
        NAME_POSTSCRIPT: f"{plain}-{style}",
    }.items():
        font["name"].removeNames(nameID=number)
        font["name"].setName(text, number, 3, 1, 0x409)
    cff = font["CFF "].cff
    cff.topDictIndex[0].FamilyName, cff.topDictIndex[0].FullName = FAMILY, f"{FAMILY} {style}"
    cff.fontNames[0] = f"{plain}-{style}"
    font.save(target)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    for style in ("Regular", "Bold"):
        make(Path(sys.argv[1]) / f"NotoSansCJK-{style}.ttc", here / f"JianfuSansSC-{style}.otf", style)
