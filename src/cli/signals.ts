/**
 * Resolves at the first Ctrl-C, SIGTERM or SIGHUP from now on. Further ones change nothing: stopping is bounded, and a
 * wrapper such as npx hands on the signal that the terminal has sent to all of us already.
 */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}
