// `hello.mjs` as a plain Node program. PM2 runs the same file in its cluster mode.
import { createServer } from "node:http";
import hello from "./hello.mjs";

createServer(hello).listen(Number(process.env["BENCH_PORT"]), "127.0.0.1");
