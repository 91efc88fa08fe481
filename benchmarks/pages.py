"""Pages of the documentation whose tables a benchmark writes."""

from pathlib import Path

from models.errors import ParamsError
from models.storage import written_whole


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put a text between the lines `begin` and `end` of a page.

    Raises
    ------
    ParamsError
        The page has no such lines.
    """
    whole = page.read_text()
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise ParamsError(f"{page}: needs the lines '{begin}' and '{end}' once each, where the tables are to go.")
    before, rest = whole.split(begin)
    after = rest.split(end)[1]
    with written_whole(page) as temporary:
        temporary.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
