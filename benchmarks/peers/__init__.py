"""Compare ragsearch with other tools on the same documents and questions: quality and speed."""
