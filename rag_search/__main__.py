"""Run the command line: `python -m rag_search`."""

from rag_search.cli.entry import main

if __name__ == "__main__":
    main()
