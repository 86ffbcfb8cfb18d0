// Ends this process when its standard input ends. That also happens when its parent process ends, which has the other
// end of the pipe.
process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
process.stdin.once("error", () => process.exit(0));
process.stdin.unref?.();
