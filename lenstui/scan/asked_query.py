"""A query over the records of a scan as it is asked for: by its name, by a condition, or by both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenstui.lens.kinds import TUNED
from lenstui.scan.condition import parse_condition
from lenstui.scan.queries import check_query_for, condition_of, query_named
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.scan.folder import Manifest

TOP = 20
ANY = "all positions"


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """The requested query.

    Attributes:
        query: the name of a query; None for none.
        where: a condition, which has to hold too; None for none.
        by: the key of the lens of queries and counts; None for the tuned lens or else the first, of those
            that are compared where the query is of a comparison by row.
        sort: the column to sort by; None for that of the query, or the order of the text.
        top: the number of matches to show.
    """

    query: str | None = None
    where: str | None = None
    by: str | None = None
    sort: str | None = None
    top: int = TOP

    def lens(self, manifest: Manifest) -> str:
        """Return the key of the lens, of those that were scanned.

        Raises:
            LensError: if it is none of them.
        """
        lenses: Sequence[str] = manifest.lenses
        if self.by is None:
            if self.query is not None and query_named(self.query).needs == "lens" and manifest.second:
                lenses = list(manifest.second.lenses) or lenses
            return TUNED if TUNED in lenses else lenses[0]
        if self.by not in lenses:
            raise LensError(f"There are no records of the lens {self.by}: --by {' or '.join(lenses)}.")
        return self.by

    def check(self, manifest: Manifest) -> None:
        """Refuse a query that is wrong.

        Args:
            manifest: what the records were made of.

        Raises:
            LensError: if the lens, the condition or the column to sort by is wrong, or the query is of a
                comparison that there is not.
        """
        from lenstui.scan.matches import sort_order

        lens, columns = self.lens(manifest), manifest.columns
        if self.query is not None:
            check_query_for(query_named(self.query), manifest.second, lens)
        if self.where is not None:
            parse_condition(self.where, columns)
        if self.sort is not None:
            sort_order(self.sort, columns)

    @property
    def title(self) -> str:
        """What is looked for, in words."""
        if self.query is None:
            return self.where or ANY
        title = query_named(self.query).title
        return title if self.where is None else f"{title}; and {self.where}"

    def condition(self, manifest: Manifest) -> tuple[str, str]:
        """Return the whole condition and the column to sort by, in the language of conditions.

        Raises:
            LensError: as `check` does; alone, so that a message has the places of what was typed.
        """
        self.check(manifest)
        if self.query is None:
            return self.where or "", self.sort or ""
        of_query, usual = condition_of(query_named(self.query), self.lens(manifest), manifest.rows)
        condition = of_query if self.where is None else f"({of_query}) and ({self.where})"
        return condition, self.sort or usual
