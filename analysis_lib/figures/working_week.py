"""How the working week divides among activity groups: bars with intervals, one panel per category."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures import style
from analysis_lib.figures.labels import NO_CATEGORY, Labels, in_order
from analysis_lib.study import NATION, Study

BAR_SHARE, TOP_PX, BOTTOM_PX = 0.62, 26, 4


def prepare_week(
    week: ProtectedTable, *, study: Study, language: str, region: str = NATION, by: str = NO_CATEGORY
) -> pd.DataFrame:
    """One row per panel and activity group, in the study's order of groups.

    Personal time is left out where the study has burden groups: it would dwarf the rest of the week.

    Returns
    -------
    pandas.DataFrame
        panel, measure, label, kind, unit, value, ci_low, ci_high, mark, text.
    """
    labels = Labels(study, language)
    kinds = labels.group_kinds
    shown = [key for key, kind in kinds.items() if kind != "personal" or "burden" not in kinds.values()]
    table = week.table
    table = table[(table["region"] == region) & table["by"].isin({NO_CATEGORY, by})]
    categories = labels.categories(by, sorted(set(table["category"]) - {NO_CATEGORY}))
    panels = [NO_CATEGORY, *categories] if by else [NO_CATEGORY]
    table = in_order(table, category=panels, measure=shown)
    return pd.DataFrame(
        {
            "panel": [labels.category(by, value) if value else labels.region(region) for value in table["category"]],
            "measure": table["measure"],
            "label": table["measure"].map(labels.measure),
            "kind": table["measure"].map(kinds),
            **{column: table[column] for column in ("unit", "value", "ci_low", "ci_high", "mark")},
            "text": [labels.cell(row) for _, row in table.iterrows()],
        }
    ).reset_index(drop=True)


@style.styled
def draw_week(frame: pd.DataFrame, *, upper: float | None = None) -> Figure:
    """Horizontal bars from zero; every panel of a page is given the same ``upper`` end of the axis."""
    upper = upper or upper_end(frame)
    names = list(frame["panel"].unique())
    keys = list(frame["label"].unique())
    lines, left, row_px = style.label_column(keys)
    right = style.value_column(list(frame["text"]))
    panels = style.new_panels(
        len(names), height=TOP_PX + len(keys) * row_px + BOTTOM_PX, left=left, right=right, top=TOP_PX, bottom=BOTTOM_PX
    )
    for name, axes in zip(names, panels, strict=True):
        part = frame[frame["panel"] == name]
        sns.barplot(part.assign(value=part["value"].fillna(0)), x="value", y="label", order=keys, hue="kind",
                    palette=style.KINDS, width=BAR_SHARE, saturation=1, errorbar=None, legend=False, linewidth=0, clip_on=False,
                    ax=axes)  # fmt: skip
        for row in part.to_dict("records"):
            place = keys.index(row["label"])
            style.draw_interval(axes, place, row["ci_low"], row["ci_high"])
            axes.annotate(row["text"], (1, place), (6, 0), xycoords=axes.get_yaxis_transform(), va="center",
                          textcoords="offset points", fontsize=style.TEXT_PX)  # fmt: skip
        axes.set(xlim=(0, upper), xlabel="", ylabel="", xticks=[])
        style.finish_rows(axes, lines)
        style.title(axes, name, left=left, top=TOP_PX)
        sns.despine(ax=axes, bottom=True)
    return style.figure_of(panels)


def upper_end(frame: pd.DataFrame) -> float:
    """Largest upper bound of a frame: where the common axis ends."""
    return style.largest(frame, ["value", "ci_high"])
