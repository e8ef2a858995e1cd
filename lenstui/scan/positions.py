"""The tokens of a block up to one of its positions, from the records."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import dataset

from lenstui.scan.matches import ScanRecords
from lenstui.support.errors import LensError, first_line


def ids_up_to(records: ScanRecords, block: int, column: int) -> tuple[int, ...]:
    """Return the token ids of a block up to a column and with it: exactly what the model read there.

    Args:
        records: the records.
        block: the number of the block.
        column: the column in the block.

    Raises:
        LensError: if the records cannot be read, or lack a column before that one.
    """
    here = (dataset.field("block") == block) & (dataset.field("column") <= column)
    try:
        of_files = dataset.dataset(list(records.files), format="parquet")
        found = of_files.to_table(columns=["column", "token_id"], filter=here, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise LensError(f"The records in {records.folder} cannot be read: {first_line(error)}.") from error
    ids = dict(zip(found["column"].to_pylist(), found["token_id"].to_pylist(), strict=True))
    if sorted(ids) != list(range(column + 1)) or None in ids.values():
        raise LensError(f"The records in {records.folder} lack tokens of block {block}: scan the text anew.")
    return tuple(ids[each] for each in range(column + 1))
