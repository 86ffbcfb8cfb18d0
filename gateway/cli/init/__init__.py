"""`understudy init`: the files of a new bot."""
