export * from "./vassal.ts";
export * from "./event.ts";
export * from "./effect.ts";
export * from "./gate.ts";
export * from "./throttle.ts";
