// Ends this process when its standard input ends, and with it when its parent process ends, which holds the other end.
process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
process.stdin.once("error", () => process.exit(0));
process.stdin.unref?.();
