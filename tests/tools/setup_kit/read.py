"""read.py FILE: a CloudFormation template, a Terraform module or a Bicep file as JSON.

Read by programs that others wrote; what they cannot read ends with an error.
"""

import json
import pathlib
import sys

path = pathlib.Path(sys.argv[1])
text = path.read_text()
if path.suffix == ".yaml":
    from cfnlint.decode import decode

    document, problems = decode(str(path))
    if problems:
        sys.exit("\n".join(map(str, problems)))
elif path.suffix == ".tf":
    import hcl2

    document = hcl2.loads(text)
elif path.suffix == ".bicep":
    from pycep import BicepParser

    document = BicepParser().parse(text=text)
else:
    sys.exit(f"{path}: of no known kind")
json.dump(document, sys.stdout, default=str)
