"""pkilint over many files in one process: loading it takes longer than any of them.

Input, a line each: "certificate PATH", "crl PATH" or "pair ISSUER SUBJECT", separated by tabs.
Output, a line each: a JSON array of "severity code", from NOTICE upwards.
"""

import contextlib
import io
import json
import sys

from pkilint.bin import lint_crl, lint_pkix_cert, lint_pkix_signer_signee_cert_chain

COMMON = ["lint", "-f", "JSON", "-s", "NOTICE"]
LINTERS = {
    "certificate": (lint_pkix_cert.main, COMMON),
    "crl": (lint_crl.main, COMMON + ["-t", "CRL", "-p", "PKIX"]),
    "pair": (lint_pkix_signer_signee_cert_chain.main, COMMON),
}


def lint(kind, paths):
    main, arguments = LINTERS[kind]
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        main(arguments + paths)
    if errors.getvalue():
        return ["FATAL " + errors.getvalue().strip()]
    return sorted(
        {
            f"{finding['severity']} {finding['code']}"
            for result in json.loads(output.getvalue())["results"]
            for finding in result["finding_descriptions"]
        }
    )


for line in sys.stdin:
    kind, *paths = line.rstrip("\n").split("\t")
    print(json.dumps(lint(kind, paths)), flush=True)
