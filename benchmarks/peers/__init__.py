"""ragsearch beside other tools, on the same documents and questions: quality, and speed."""
