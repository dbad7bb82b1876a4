"""The operator's command line: `python -m teleport_operator`."""

from teleport_operator.command import main

if __name__ == "__main__":
    main()
