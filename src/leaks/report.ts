import { milliseconds } from "../log.ts";

/** What is looked at, in this order. Each is switched on or off by its name. */
export const PHASES = [
  "canaries",
  "probes",
  "twins",
  "streams",
  "counts",
  "scopes",
  "crowd",
  "fingerprints",
  "controls",
  "context",
  "catalog",
] as const;
export type Phase = (typeof PHASES)[number];

/** Something that is wrong, in one sentence. */
export interface Finding {
  readonly phase: Phase;
  readonly said: string;
}

/** What a phase came to. */
export interface Figures {
  readonly phase: Phase;
  /** What was looked at, for a person to read. */
  readonly looked_at: string;
  readonly requests: number;
  readonly bytes: number;
  readonly ms: number;
  readonly findings: number;
}

export interface Report {
  readonly phases: readonly Figures[];
  readonly findings: readonly Finding[];
}

export type Notes = ReturnType<typeof openNotes>;

/** Who hears what a check is at. */
export interface Listener {
  /** A phase has begun. */
  began?(phase: Phase): void;
  /** How far it has come. */
  came?(phase: Phase, how_far: string): void;
  /** It has ended. */
  told?(figures: Figures): void;
}

/** Collects what the phases find and count. */
export function openNotes({ began, came, told }: Listener = {}) {
  const findings: Finding[] = [];
  const phases: Figures[] = [];
  const sentences = new Set<string>();
  let present: Phase = "canaries";
  let counted = { requests: 0, bytes: 0 };
  return {
    /** A finding of the phase that runs, or of another; the same sentence counts once. */
    find(said: string, phase: Phase = present) {
      if (sentences.has(phase + said)) return;
      sentences.add(phase + said);
      findings.push({ phase, said });
    },
    /** A request and how much was answered. */
    count(bytes: number) {
      counted.requests++;
      counted.bytes += bytes;
    },
    /** How far the phase that runs has come. */
    come: (how_far: string) => came?.(present, how_far),
    /** Runs a phase; it gives what it looked at. Throws what the phase throws. */
    async run(phase: Phase, work: () => Promise<string>) {
      present = phase;
      counted = { requests: 0, bytes: 0 };
      began?.(phase);
      const started = performance.now();
      const looked_at = await work();
      const found = findings.filter((finding) => finding.phase === phase).length;
      const figures = { phase, looked_at, ...counted, ms: milliseconds(started), findings: found };
      phases.push(figures);
      told?.(figures);
    },
    report: (): Report => ({ phases, findings }),
  };
}
