/** The fuzz test with a thousand requests for each route and tool, some 27,000: by hand, `bun run test:long`. */
process.env.FUZZ_RUNS ||= "1000";
await import("../http/fuzz.test.ts");

export {};
