"""The history of conversations: sessions for turns, transcripts for channels, and threads that people begin."""
