"""``python worker FOLDER``: makes a package of the folder, which Python runs as single files."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)
importlib.import_module(f"{HERE.name}.command").main(sys.argv[1:])
