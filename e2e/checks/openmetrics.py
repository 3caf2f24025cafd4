"""Parses OpenMetrics text on standard input, strictly, and prints what is in it as JSON."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
samples = [sample for family in families for sample in family.samples]
json.dump(
    {
        "families": sorted(family.name for family in families),
        "undocumented": sorted(family.name for family in families if not family.documentation),
        "exemplars": [sample.exemplar.labels for sample in samples if sample.exemplar],
    },
    sys.stdout,
)
