/** One line that is written over as work goes on; on anything but a terminal nothing but what begins. */
export function openProgress(stream = process.stderr) {
  const is_shown = stream.isTTY === true;
  let last = 0;
  return {
    /** At most ten times a second. */
    tell(line: string) {
      if (!is_shown || Date.now() - last < 100) return;
      last = Date.now();
      stream.write(`\r\x1b[2K${line}`);
    },
    /** As something begins, at once; on anything but a terminal a line of its own. */
    begin(line: string) {
      if (is_shown) last = Date.now();
      stream.write(is_shown ? `\r\x1b[2K${line}` : `${line}\n`);
    },
    end() {
      if (is_shown && last > 0) stream.write("\r\x1b[2K");
    },
  };
}

const UNITS = ["bytes", "kB", "MB", "GB"];

/** A size for people. */
export function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${UNITS[power]}`;
}
