"""``python -m tssl`` and the ``tssl`` command."""

from tssl.cli import main

if __name__ == "__main__":
    main()
