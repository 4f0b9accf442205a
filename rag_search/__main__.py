"""Run the command line: `python -m rag_search`."""

from rag_search.cli.app import main

if __name__ == "__main__":
    main()
