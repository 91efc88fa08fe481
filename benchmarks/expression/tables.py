"""The figures as tables: in the terminal, and in the page that documents the network."""

from pathlib import Path

from benchmarks.expression.measures import RENAMED
from benchmarks.pages import write_between
from models.expression.robustness import UNITS

BEGIN = "<!-- benchmark: written by `python -m benchmarks.expression --docs` -->"
END = "<!-- end of benchmark -->"

# The methods' names in tables, with the prefix of their keys.
METHODS = {"network": "", "fit of one image": "single_image_", "per-frame fit [31]": "per_frame_"}
# Rows of the first table: label, and the key of each method with `{}` for its prefix.
COMPARED = {
    "MSE, rendered test people, known truth": "{}mse",
    "the same, mm²": "{}mse_mm2",
    "vertex RMS over the inter-ocular distance": "{}vertex_rms",
    "share of the variance explained": "{}explained_variance",
    "MSE, test videos, against the whole-video fit": "fitted_{}mse",
    "MSE between 45° and frontal": "{}view_invariance_mse",
    "the same over the variance of e": "{}view_invariance_mse_share",
    "person recognised from e": "{}identity_leakage",
    "variance of e over neutral faces": "{}neutral_variance",
    "London: spread of neutral faces": "{}london_spread",
    "London: distance of their mean from zero": "{}london_offset",
    "London: cosine of two people's smiles": "{}london_cosine",
    "London: smile told from neutral, learned on renders": "{}london_accuracy",
    "London: the same, best threshold": "{}london_best_accuracy",
    "London: spread, standard deviations": "{}london_spread_std",
    "London: distance from zero, standard deviations": "{}london_offset_std",
    "London: cosine, standard deviations": "{}london_cosine_std",
}
GROUP_COLUMNS = {
    "people": "people",
    "spread": "spread of neutral",
    "offset": "their mean from everybody's",
    "accuracy": "smile told from neutral",
}


def tables(figures: dict[str, float]) -> str:
    """All tables in Markdown; rows and cells without a figure are left out or empty."""
    parts = [_heading(figures), _compared(figures), _robustness(figures)]
    parts += [_subgroups(figures), _zero_shot(figures)]
    return "\n\n".join(part for part in parts if part)


def write_into_page(page: Path, text: str) -> None:
    """Put a text between the two marks of a page.

    Raises
    ------
    ParamsError
        The page has no such marks.
    """
    write_between(page, BEGIN, END, text)


def number(value: float | int | str | None) -> str:
    """Three significant digits, without exponents; whole numbers and text as they are; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"


def table(corner: str, columns: list[str], rows: dict[str, list]) -> str:
    """A Markdown table; rows all of whose cells are None are left out, and the whole table where none is left."""
    lines = [
        f"| {label} | {' | '.join(number(cell) for cell in cells)} |"
        for label, cells in rows.items()
        if any(cell is not None for cell in cells)
    ]
    if not lines:
        return ""
    return "\n".join([f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|", *lines])


def _heading(figures: dict[str, float]) -> str:
    counts = f"{figures.get('moments', 0):,} rendered faces of {figures.get('people', 0)} people"
    if "london_people" in figures:
        counts += f", {figures['london_people']} people of the London set"
    if "rest_mse" in figures:
        counts += f". An answer that is always zero has an MSE of {number(figures['rest_mse'])} on the rendered faces"
    if "identity_leakage_chance" in figures:
        counts += (
            f"; the probe recognises a person from the true e in {number(figures['identity_leakage_true'])} of the "
            f"pictures, and by guessing in {number(figures['identity_leakage_chance'])}"
        )
    return f"{counts}."


def _compared(figures: dict[str, float]) -> str:
    def value(pattern: str, prefix: str) -> float | None:
        key = pattern.format(prefix)
        return figures.get(RENAMED.get(key, key))

    rows = {label: [value(pattern, prefix) for prefix in METHODS.values()] for label, pattern in COMPARED.items()}
    return table("", list(METHODS), rows)


def _robustness(figures: dict[str, float]) -> str:
    """One row for each severity: MSE of the network and of the fit of one image, and how many faces were found."""
    rows: dict[str, list] = {}
    names = [key.removeprefix("robustness_found_") for key in figures if key.startswith("robustness_found_")]
    for name in names:
        kind, _, level = name.partition("_")
        label = "as it is" if kind == "plain" else f"{kind}: {level} ({UNITS[kind]})"
        keys = (f"robustness_{name}", f"robustness_single_image_{name}", f"robustness_found_{name}")
        rows[label] = [figures.get(key) for key in keys]
    return table("MSE under severities", ["network", "fit of one image", "faces found"], rows)


def _subgroups(figures: dict[str, float]) -> str:
    rows = {}
    for key in figures:
        if key.startswith("london_people_"):
            group = key.removeprefix("london_people_")
            rows[group.replace("_", " ")] = [figures.get(f"london_{column}_{group}") for column in GROUP_COLUMNS]
    return table("London faces by group", list(GROUP_COLUMNS.values()), rows)


def _zero_shot(figures: dict[str, float]) -> str:
    labels = {
        "zero_shot_rendered_accuracy": "accuracy, posed emotions of rendered people",
        "zero_shot_rendered_log_loss": "log loss there",
        "zero_shot_london_accuracy": "accuracy, London faces, seven answers",
        "zero_shot_london_binary_accuracy": "London faces, the likelier of neutral and happy",
        "zero_shot_microseconds_1": "microseconds a row, one row",
        "zero_shot_microseconds_8": "microseconds a row, eight rows",
    }
    return table("emotions without real labels", [""], {label: [figures.get(key)] for key, label in labels.items()})
