"""What a Markdown file is made of: lines, front matter, blocks and inline marks. Shared by corpus and chunking."""
