"""Checks files against typed models: `schemas.py dashboard FILE` (Grafana), `schemas.py operator FILE`
(every document of the Prometheus Operator's). The models leave out what they do not know, so whatever does
not come back from them is misspelt, misplaced or of the wrong type."""

import json
import sys


def dashboard(file):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    given = json.load(file)
    yield given, json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder))


def operator(file):
    import yaml
    from cloudcoil.models.prometheus_operator import v1

    for given in yaml.safe_load_all(file):
        if given["apiVersion"] == "monitoring.coreos.com/v1":
            model = getattr(v1, given["kind"]).model_validate(given)
            yield given, model.model_dump(by_alias=True, exclude_unset=True, mode="json")


def lost(given, understood, path=""):
    """The places whose values did not come back."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, value in given.items():
            if key in understood:
                yield from lost(value, understood[key], f"{path}/{key}")
            elif value not in (None, [], {}):
                yield f"{path}/{key}"
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for index, pair in enumerate(zip(given, understood)):
            yield from lost(*pair, f"{path}/{index}")
    elif given != understood:
        yield path


with open(sys.argv[2], encoding="utf-8") as file:
    checked = list({"dashboard": dashboard, "operator": operator}[sys.argv[1]](file))
unknown = [place for pair in checked for place in lost(*pair)]
if unknown or not checked:
    sys.exit(f"{sys.argv[2]}: {len(checked)} documents checked, not understood: {unknown}")
