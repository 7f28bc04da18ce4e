"""``python -m lamella``.

Floor 9.
"""

from lamella.cli import main

if __name__ == "__main__":
    main()
