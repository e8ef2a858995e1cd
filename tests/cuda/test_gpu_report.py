"""The report on a GPU goes on where a part of it fails or takes too long, and says which."""

from __future__ import annotations

import sys

from tests.bench.gpu_report import PARTS, ROOT, Part, command, done, report


def ran(script: str, limit: float = 30) -> tuple[str, str]:
    result = done(Part("readout", "", "", 1), [sys.executable, "-c", script], limit)
    return result.verdict, result.output


def test_a_part_that_fails_or_takes_too_long_is_said() -> None:
    machine = "2 cores · 8 GB · torch 2"
    assert ran(f"print({machine!r}); print(); print('| a |')") == ("", "| a |")
    assert ran("print('| a |', flush=True); raise SystemExit('no such thing')") == (
        "failed with status 1: no such thing",
        "| a |",
    )
    verdict, _ = ran("import time; print('| a |', flush=True); time.sleep(60)", limit=0.5)
    assert verdict.startswith("not done within")


def test_the_report_names_what_went_wrong_and_what_is_missing() -> None:
    fine, failed = (
        done(part, [sys.executable, "-c", f"print('| {part.name} |'); raise SystemExit({status})"], 30)
        for status, part in enumerate(PARTS[1:3])
    )
    text = report("a machine", [fine, failed], list(PARTS[3:5]))
    assert "Not well: fit." in text and "No time was left for: jacobian, large." in text
    assert "## readout" in text and "| readout |" in text and "failed with status 1" in text


def test_every_part_is_a_bench_that_takes_the_device() -> None:
    for part in PARTS[1:]:
        *_, module, option, device = command(part, "cuda:1", small=False)[:5]
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert (option, device) == ("--device", "cuda:1")
        assert "arguments(__doc__" in source and "started(given)" in source.replace("options", "given")
    benches = {path.stem.removeprefix("bench_") for path in (ROOT / "tests/bench").glob("bench_*.py")}
    assert benches == {part.name for part in PARTS[1:]} | {
        "grid",  # which no device takes part in
        "processes",  # which needs several
    }
