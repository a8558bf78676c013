/** The public face of the runtime for programs; the `vassal` command is `cli.ts`. */
export { EmperorConnection, connectEmperor } from "./client.ts";
export type { ConnectOptions, EmperorEvents } from "./client.ts";
