export * from "./emperor-messages.ts";
export * from "./environment.ts";
