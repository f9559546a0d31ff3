import { existsSync, readFileSync } from "node:fs";

/** One turn of a conversation, as the memory it becomes. */
export interface Turn {
  /** The data's own name of the turn, `D1:3`. */
  readonly name: string;
  readonly content: string;
  readonly thread: string;
  readonly date: string;
}

/** A question, and the names of the turns that hold what it asks for. */
export interface Question {
  readonly text: string;
  /** 1 several turns, 2 time, 3 inference, 4 one turn. */
  readonly category: number;
  readonly evidence: readonly string[];
}

export interface Conversation {
  readonly turns: readonly Turn[];
  readonly questions: readonly Question[];
}

interface Raw {
  conversation: Record<string, string | { speaker: string; dia_id: string; text: string; blip_caption?: string }[]>;
  qa: { question: string; category: number; evidence?: string[] }[];
}

/** The ten conversations of a LoCoMo file, by the rule of the bench; null where the file is not there. */
export function readLocomo(path: string): Conversation[] | null {
  if (!existsSync(path)) return null;
  return (JSON.parse(readFileSync(path, "utf8")) as Raw[]).map(({ conversation, qa }) => ({
    turns: Object.entries(conversation).flatMap(([thread, turns]) =>
      Array.isArray(turns)
        ? turns.map(({ speaker, dia_id, text, blip_caption }) => ({
            name: dia_id,
            content: `${speaker}: ${text}${blip_caption ? ` [${blip_caption}]` : ""}`,
            thread,
            date: String(conversation[`${thread}_date_time`]),
          }))
        : [],
    ),
    questions: qa
      .filter(({ category, evidence }) => category <= 4 && evidence?.length)
      .map(({ question, category, evidence = [] }) => ({
        text: question,
        category,
        evidence: [...new Set(evidence.flatMap((names) => names.split(/[;,\s]+/)).filter(Boolean))],
      })),
  }));
}
