"""``python -m analysis_lib`` is ``jianfu``."""

from analysis_lib.cli import main

if __name__ == "__main__":
    main()
