"""CSV in long form: one line per metric with every field of its result."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

from pydantic import BaseModel

from anonbench.results.published import PublishedValue
from anonbench.results.record import Metric, Result

Fields = dict[str, Any]


def csv_text(results: Iterable[Result], published: Iterable[PublishedValue] = ()) -> str:
    """All metrics of all results, then published values; `source` tells which is which.

    A failed result has one line that holds its error and no number. Settings, weights, packages
    and other mappings are JSON in one column each.
    """
    lines = [line for result in results for line in _measured(result)]
    lines += [_published(value) for value in published]
    columns = dict.fromkeys(column for line in lines for column in line)
    buffer = StringIO()
    writer = csv.DictWriter(buffer, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _measured(result: Result) -> Iterator[Fields]:
    common = _flat(result, skip=("judges", "counts", "metrics", "stages"))
    judges = {judge.name: judge for judge in result.judges}
    metrics: Sequence[Metric | None] = (None,) if result.status == "failed" else result.metrics
    for metric in metrics:
        line = {"source": "measured", **common}
        if metric is not None:
            line |= _flat(metric, "metric.")
            for prefix, about in (
                ("judge.", judges.get(metric.judge)),
                ("counts.", result.counts.get(metric.judge)),
            ):
                line |= _flat(about, prefix) if about else {}
        yield {**line, "stages": _json([stage.model_dump() for stage in result.stages])}


def _published(value: PublishedValue) -> Fields:
    return {
        "source": f"published: {value.paper}, Table {value.number}",
        "protocol.name": value.protocol,
        "method.name": value.method,
        "method.title": value.method_title,
        "method.variant": value.variant,
        "dataset.name": value.dataset,
        "judge.name": value.judge,
        "judge.title": value.column,
        "metric.name": value.metric,
        "metric.judge": value.judge,
        "metric.value": value.value,
        "metric.std": value.std,
        "metric.unit": value.unit,
        "metric.direction": value.direction,
        "metric.white_box": value.white_box,
        "warnings": _json([value.note] if value.note else []),
    }


def _flat(model: BaseModel, prefix: str = "", skip: Sequence[str] = ()) -> Fields:
    """The fields of a model and of the models in it, named by their path."""
    fields: Fields = {}
    for name, value in model:
        if isinstance(value, BaseModel):
            fields |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, dict | tuple):
            plain = model.model_dump(mode="json", include={name})[name]
            fields[f"{prefix}{name}"] = _json(plain)
        elif isinstance(value, datetime):
            fields[f"{prefix}{name}"] = value.isoformat()
        elif name not in skip:
            fields[f"{prefix}{name}"] = value
    return {key: value for key, value in fields.items() if key not in skip}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
