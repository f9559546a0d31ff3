// `import text from "./page.md" with { type: "text" }` gives the file's text.
declare module "*.md" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: that is the only export a text has
  export default text;
}
