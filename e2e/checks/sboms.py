"""Checks files against the schema of CycloneDX 1.5: `sboms.py FILE…`."""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

validator = JsonStrictValidator(SchemaVersion.V1_5)
for file in sys.argv[1:]:
    error = validator.validate_str(pathlib.Path(file).read_text())
    if error:
        sys.exit(f"{file}: {error}")
