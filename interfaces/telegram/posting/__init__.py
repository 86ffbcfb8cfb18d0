"""Post, edit and delete messages, and upload files."""
