//! An executor: the side that has a file system and a shell.
