export * from "./vassal.ts";
export * from "./event.ts";
export * from "./effect.ts";
