"""The server in a sandbox: ``python -m tfserve.model_server.sandboxed RULESET FLAG…``.

It gives up its privileges before anything else, and long before it loads a model. RULESET is the descriptor of the
ruleset that allows what is left; see `tfserve.host.privileges`.
"""

from __future__ import annotations

import sys

from tfserve.host.privileges import drop_privileges

if __name__ == "__main__":
    drop_privileges(int(sys.argv.pop(1)))
    from tfserve.model_server.main import main

    main()
