// Ends this process when its parent does: the parent holds the other end of stdin.
process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
process.stdin.once("error", () => process.exit(0));
process.stdin.unref?.();
