/** Wire formats and names shared by the Emperor, its vassals and its clients. No I/O, no timers, no Node. */
export * from "./command.ts";
export * from "./config-frame.ts";
export * from "./descriptor-message.ts";
export * from "./dictionary.ts";
export * from "./emperor-messages.ts";
export * from "./environment.ts";
export * from "./fork-server.ts";
export * from "./packet.ts";
export * from "./sd-notify.ts";
export * from "./stats.ts";
export * from "./subscription.ts";
export * from "./utf8.ts";
export * from "./uwsgi-request.ts";
export * from "./worker-stats.ts";
